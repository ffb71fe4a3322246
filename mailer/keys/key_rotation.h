// The text of a key file that changes its keys by itself: which key signs, which one comes next,
// and how long a former one verifies.
//
// A comment per key says so, `# key ID: ...`, wherever it is in the file; the first key has none.
// Programs that only read keys skip it, so old files are valid, and so are these for old programs.
//
// A new key verifies from one change on, and signs from the next one on. So a program that knows
// the file as it was before or after a change verifies what any other one signs, in whatever order
// they read it. That holds if all of them read the file between two changes, for which each new key
// waits a day.
#pragma once

#include <chrono>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/secret.h"

namespace lmtpq::mailer {

struct KeyChange {
  // Nothing changes before this time, since the next key is too new; 0: the text is new.
  time_t not_before = 0;
  Secret text;
  // Each key and what it does from now on, in words; the removed ones too.
  std::vector<std::pair<std::string, std::string>> keys;
};

// With a key that signs and the next one, which is known to everybody who reads this file.
Secret first_keys(time_t now);

// The next key comes first and signs, if there is one, and a new one comes next. The former signer
// verifies for `lifetime` and a day; keys whose time is over are removed. A key that is not first
// and has no comment is a former signer. Everything else in the file stays where it is.
// ConfigError, which begins with `name`: the text is no key file, or has too many keys.
KeyChange change_keys(std::string_view text, const std::string& name, time_t now,
                      std::chrono::seconds lifetime);

}  // namespace lmtpq::mailer

// Bytes that nobody else may see: a key, a password, a file of them.
//
// What it is: text that is wiped when its life ends, and the reading of files that hold such text,
//   with the checks that such a file deserves.
// What it does not know: what the bytes mean.
// Called by: keyring, and where passwords and private keys are read.
// Threads and lifetimes: a move-only value; a move leaves nothing behind.
// Failure: ConfigError with the path, what is wrong with the file, and the remedy.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace lmtpq {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text);  // a copy: what it was made from is the caller's to wipe
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  bool empty() const { return text_.empty(); }
  std::string_view text() const { return text_; }

 private:
  std::string text_;  // never so short that it stands in the string object itself
};

// Overwrites the text, all that was ever kept in its present memory included, and empties it.
void wipe(std::string& text);

// A regular file that root or `reader` (as whom we shall run) owns and nobody else may read or
// write; a group's right to read is taken when at most one account beside those two has it as its
// own. At most 64 KiB. `what` is what the file holds, for the error: "the keys", "the passwords".
Secret read_secret_file(const std::string& path, uid_t reader, const char* what);

// No core file, no ptrace(2) by our own user: for a process that holds secrets. A change of user
// takes the second back (prctl(2)), so it comes after that.
void forbid_core_dumps();

}  // namespace lmtpq

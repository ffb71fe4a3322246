// One condition of a rule.
//
// What it is: a line of a `[rule.NAME]` section as a test of a message, or of one of its
//   recipients.
// What it does not know: other conditions, limits, what follows when it holds.
// Called by: rule parsing makes it, Rule asks it.
// Threads and lifetimes: immutable once made; asked from several threads.
// Failure: parsing throws ConfigError with what was expected. A fact that is not known never holds,
//   not even for `*`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/network.h"
#include "milter/policy/facts.h"

namespace lmtpq::milter {

enum class ConditionKind { kClient, kAuth, kTlsSubject, kFrom, kRcpt, kHeader, kMaxSize };
// As they stand in the file; `header` has the field's name behind it.
inline constexpr const char* kConditionNames[] = {"client", "auth",   "tls-subject", "from",
                                                  "rcpt",   "header", "max-size"};

class Condition {
 public:
  // Nothing when `name` is no condition's. Several words of a value, with blanks or commas between
  // them, are alternatives:
  //   client = 192.0.2.0/24 2001:db8::/32 local     (local: no address, as with sendmail -bs)
  //   auth, from, rcpt = globs                       (a pair of <> around an address is dropped)
  //   tls-subject = one glob, since subjects have blanks and commas
  //   header NAME = one glob, blanks included; it holds when any field of that name matches
  //   max-size = SIZE
  // `from = <>` is the null sender and nothing else; `from = *` is everybody, the null sender too.
  static std::optional<Condition> parse(std::string_view name, std::string_view value);

  ConditionKind kind() const { return kind_; }
  const std::string& header_name() const { return header_name_; }  // of kHeader
  std::string text() const;                                        // "from = notice@*"
  bool holds(const MessageFacts& message, const RecipientFacts& recipient) const;
  // What the message has there, for --explain: "from is alice@example.org".
  std::string fact(const MessageFacts& message, const RecipientFacts& recipient) const;
  // Whether a stranger can make it hold at will: a sender, a recipient or a header is mere text,
  // and 0.0.0.0/0 or ::/0 is no choice of clients.
  bool forgeable() const;

 private:
  void take_value();
  void take_networks();
  void take_addresses();

  ConditionKind kind_ = ConditionKind::kFrom;
  std::string header_name_;
  std::string value_;  // as written, without blanks around it
  std::vector<std::string> patterns_;
  ClientSet clients_;
  std::uint64_t max_size_ = 0;
};

}  // namespace lmtpq::milter

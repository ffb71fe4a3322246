// One condition of a rule: a line such as `from = notice@*`, and its test of a message.
//
// Immutable once parsed; used from several threads. A fact that is not known never holds, not even
// for `*`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "milter/policy/client_set.h"
#include "milter/policy/message_facts.h"

namespace lmtpq::milter {

enum class ConditionKind { kClient, kAuth, kTlsSubject, kFrom, kRcpt, kHeader, kMaxSize };
// As written in the file; after `header` comes the field's name.
inline constexpr const char* kConditionNames[] = {"client", "auth",   "tls-subject", "from",
                                                  "rcpt",   "header", "max-size"};

class RuleCondition {
 public:
  // Nothing: `name` is not a condition. Throws ConfigError with what was expected of the value.
  // Several words, separated by blanks or commas, are alternatives:
  //   client = 192.0.2.0/24 2001:db8::/32 local     (local: no address, as with sendmail -bs)
  //   auth, from, rcpt = globs                       (a pair of <> around an address is dropped)
  //   tls-subject = one glob, since subjects have blanks and commas
  //   header NAME = one glob, blanks included; it holds when any field of that name matches
  //   max-size = SIZE
  // `from = <>` is the null sender only; `from = *` is every sender, the null sender included.
  static std::optional<RuleCondition> parse(std::string_view name, std::string_view value);

  ConditionKind kind() const { return kind_; }
  const std::string& header_name() const { return header_name_; }  // of kHeader
  std::string text() const;                                        // "from = notice@*"
  bool holds(const MessageFacts& message, const RecipientFacts& recipient) const;
  // The message's value, for --explain: "from is alice@example.org".
  std::string fact(const MessageFacts& message, const RecipientFacts& recipient) const;
  // Whether any client can make it hold: senders, recipients and headers are text that the client
  // writes, and 0.0.0.0/0 or ::/0 is every client.
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

// What a server offers, from its reply to LHLO or EHLO: keywords with parameters (RFC 5321
// section 4.1.1.1).
//
// A value that belongs to one connection. Never keep it over STARTTLS or AUTH, and never share it
// between connections (RFC 3207 section 4.2). Words that are no keyword (Cyrus ends its list with
// `Ok SESSIONID=<...>`) do no harm: no one asks for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mailer/lmtp/reply.h"

namespace lmtpq::mailer {

class Capabilities {
 public:
  Capabilities() = default;
  explicit Capabilities(const Reply& lhlo);

  bool offers(std::string_view keyword) const;  // upper case
  // As if it were not offered.
  void ignore(std::string_view keyword);
  // The largest message in bytes; empty when SIZE is missing, has no number, or is 0 (RFC 1870: no
  // fixed limit).
  std::optional<std::uint64_t> size_limit() const;
  // RFC 9422, LIMITS: transactions on one connection; recipients, and domains of recipients, in one
  // transaction. Empty if it is missing, or is not a number of 1 to 6 digits above 0.
  const std::optional<std::size_t>& mail_max() const { return mail_max_; }
  const std::optional<std::size_t>& rcpt_max() const { return rcpt_max_; }
  const std::optional<std::size_t>& rcpt_domain_max() const { return rcpt_domain_max_; }
  // Keyword (upper case) and parameters, in the server's order.
  const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }

 private:
  void read_limits(std::string_view parameters);

  std::vector<std::pair<std::string, std::string>> all_;
  std::optional<std::size_t> mail_max_;
  std::optional<std::size_t> rcpt_max_;
  std::optional<std::size_t> rcpt_domain_max_;
};

}  // namespace lmtpq::mailer

// A recipient's address in the form in which routes are looked up.
//
// Local part and domain are in lower case, without quotes and backslashes, and without a dot at
// the end of the domain. `user` is the local part without its detail (RFC 5233).
#pragma once

#include <string>
#include <string_view>

#include "common/mailbox.h"

namespace lmtpq::mailer {

struct RouteAddress {
  explicit RouteAddress(const Mailbox& mailbox);

  std::string local;
  std::string user;    // local without +detail
  std::string domain;  // may be empty

  bool has_detail() const { return user.size() != local.size(); }
};

// "local@domain", or "local" alone.
std::string address_text(std::string_view local, std::string_view domain);

}  // namespace lmtpq::mailer

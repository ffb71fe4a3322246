// A recipient in the form in which maps of routes know it.
//
// What it is: local part and domain in small letters, without quotes and backslashes (as tags
//   compare addresses), without the dot that says that a domain is whole; and the local part
//   without its detail (RFC 5233), user+detail.
// What it does not know: maps, what the store makes of a detail.
// Called by: RouteTable and DirectoryRoutes.
// Threads and lifetimes: a value.
// Failure: none.
#pragma once

#include <string>
#include <string_view>

#include "common/mailbox.h"

namespace lmtpq::mailer {

struct RouteAddress {
  explicit RouteAddress(const Mailbox& mailbox);

  std::string local;
  std::string user;    // local without +detail; the same, where there is none
  std::string domain;  // empty: none

  bool has_detail() const { return user.size() != local.size(); }
};

// "local@domain", or "local" alone.
std::string address_text(std::string_view local, std::string_view domain);

}  // namespace lmtpq::mailer

// A search filter with places for a recipient's address (RFC 4515).
//
// What it is: a text such as `(|(mail=%s)(mailLocalAddress=%s))`, checked, and filled in: %s is the
//   address, %u its local part, %d its domain, %% a percent sign.
// What it does not know: libldap, which address is looked up when.
// Called by: the settings check it, DirectoryRoutes fills it in.
// Threads and lifetimes: an immutable value.
// Failure: the constructor throws ConfigError with what was expected; fill_in() returns nothing
//   where the address has not the part that the filter needs.
// Rules: whatever an address holds, it stays one assertion value: all bytes but letters, digits and
//   some harmless marks are escaped (RFC 4515 section 3).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpq::mailer {

class LdapFilter {
 public:
  explicit LdapFilter(std::string_view text);

  const std::string& text() const { return text_; }
  std::optional<std::string> fill_in(std::string_view local, std::string_view domain) const;

 private:
  std::string text_;
};

// One value, escaped.
std::string filter_value(std::string_view value);

}  // namespace lmtpq::mailer

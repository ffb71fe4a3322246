// A search filter (RFC 4515) with places for a recipient's address.
//
// In a text such as `(|(mail=%s)(mailLocalAddress=%s))`, %s is the address, %u its local part, %d
// its domain, %% a percent sign. An address always becomes one assertion value, whatever it
// contains: all bytes but letters, digits and some harmless marks are escaped (RFC 4515 section 3).
// Immutable. The constructor throws ConfigError with what was expected.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpq::mailer {

class LdapFilter {
 public:
  explicit LdapFilter(std::string_view text);

  const std::string& text() const { return text_; }
  // Nothing if the filter needs a part that the address does not have.
  std::optional<std::string> fill_in(std::string_view local, std::string_view domain) const;

 private:
  std::string text_;
};

// An assertion value, escaped.
std::string filter_value(std::string_view value);

}  // namespace lmtpq::mailer

#include "mailer/settings/ldap_filter.h"

#include "common/config_error.h"

namespace lmtpq::mailer {
namespace {

[[noreturn]] void bad(const std::string& why) {
  throw ConfigError(why + "; expected an LDAP filter such as (mailLocalAddress=%s)");
}

// libldap reports a bad filter too, but only at the first search.
void check_brackets(std::string_view text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
    if (depth < 0 || (depth == 0 && i + 1 < text.size())) {
      bad("unbalanced parentheses, or text outside of them");
    }
  }
  if (depth != 0 || text.empty()) {
    bad("unbalanced parentheses, or text outside of them");
  }
}

void check_places(std::string_view text) {
  bool any = false;
  for (std::size_t at = text.find('%'); at < text.size(); at = text.find('%', at + 2)) {
    const char place = at + 1 < text.size() ? text[at + 1] : '\0';
    if (std::string_view("sud%").find(place) == std::string_view::npos) {
      bad("% must be followed by s (address), u (local part), d (domain) or %");
    }
    any = any || place != '%';
  }
  if (!any) {
    bad("the filter has no %s, %u or %d");
  }
}

}  // namespace

LdapFilter::LdapFilter(std::string_view text) : text_(text) {
  check_brackets(text);
  check_places(text);
}

std::optional<std::string> LdapFilter::fill_in(std::string_view local,
                                               std::string_view domain) const {
  const std::string part_local = filter_value(local);
  const std::string part_domain = filter_value(domain);
  const std::string whole = domain.empty() ? part_local : part_local + "@" + part_domain;
  std::string made;
  for (std::size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] != '%') {
      made += text_[i];
      continue;
    }
    const char place = text_[++i];
    if ((place == 'u' && local.empty()) || (place == 'd' && domain.empty())) {
      return std::nullopt;
    }
    made += place == 's' ? whole : place == 'u' ? part_local : place == 'd' ? part_domain : "%";
  }
  return made;
}

std::string filter_value(std::string_view value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string made;
  for (const char c : value) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("@.-_+=").find(c) != std::string_view::npos;
    if (plain) {
      made += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      made += {'\\', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return made;
}

}  // namespace lmtpq::mailer

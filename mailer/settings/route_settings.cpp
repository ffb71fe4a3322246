#include "mailer/settings/route_settings.h"

#include <algorithm>

#include "common/options/option_table.h"
#include "mailer/settings/ldap_filter.h"

namespace lmtpq::mailer {
namespace {

bool is_ldaps(const std::string& uri) { return uri.starts_with("ldaps://"); }
bool is_ldapi(const std::string& uri) { return uri.starts_with("ldapi://"); }

// LDAP URIs (RFC 4516) without base, attribute and filter, for which there are other options.
Reader uris(std::vector<std::string>& into) {
  return [&into](std::string_view text) {
    into.clear();
    each_word(text, [&](const std::string& word) {
      const std::size_t begin = word.find("://");
      const bool known = word.starts_with("ldap://") || is_ldaps(word) || is_ldapi(word);
      const std::size_t end = known ? word.find_first_of("/?", begin + 3) : 0;
      if (!known || (end != std::string::npos && end + 1 != word.size())) {
        throw ConfigError(
            "expected ldap://HOST[:PORT], ldaps://HOST[:PORT] or ldapi://PATH with %2F for each /; "
            "several with blanks");
      }
      into.push_back(word.substr(0, end));
    });
  };
}

// AttributeDescription (RFC 4512 section 2.5).
Reader attribute(std::string& into) {
  return [&into](std::string_view name) {
    const bool good = std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == ';' || c == '.';
    });
    if (name.empty() || !good) {
      throw ConfigError("expected the name of an attribute, such as mailHost");
    }
    into = name;
  };
}

Reader filter(std::string& into) {
  return [&into](std::string_view text) { into = LdapFilter(text).text(); };
}

OptionTable file_options(RouteSettings& s) {
  return under("Routes", {value("route-file", "FILE", "",
                                "file of recipients and their stores, with lines of PATTERN DEST[, "
                                "DEST...]; loaded again when it changes",
                                reader::absolute_path(s.file))});
}

OptionTable directory_options(DirectorySettings& d) {
  return under(
      "Routes",
      {value("route-ldap", "URIS", "",
             "directory that knows the recipients' stores: ldap://HOST[:PORT], ldaps:// or "
             "ldapi://; several with blanks, tried in order",
             uris(d.uris)),
       value("route-ldap-base", "DN", "", "search below this entry", reader::text(d.base)),
       value("route-ldap-filter", "FILTER", "",
             "search filter; %s is the recipient's address, %u its local part, %d its domain; "
             "default: (|(mail=%s)(mailLocalAddress=%s))",
             filter(d.filter)),
       value("route-ldap-attribute", "NAME", "mailHost",
             "attribute that names the store, as DEST or several in order", attribute(d.attribute)),
       value("route-ldap-bind-dn", "DN", "",
             "log in to the directory as this entry; default: anonymous", reader::text(d.bind_dn)),
       value("route-ldap-password-file", "FILE", "",
             "file with the password for --route-ldap-bind-dn (mode 0600)",
             reader::absolute_path(d.password_file)),
       value("route-ldap-tls", "HOW", "none",
             "none; starttls: always use STARTTLS and verify the certificate (ldaps:// URIs do "
             "both anyway)",
             reader::choice(
                 d.tls, {{"none", DirectoryTls::kNone}, {"starttls", DirectoryTls::kStartTls}})),
       value("route-ldap-ca-file", "FILE", "",
             "trusted CA certificates for the directory (PEM); default: those of ldap.conf(5)",
             reader::absolute_path(d.ca_file)),
       value("route-ldap-timeout", "TIME", "5s",
             "time limit for connecting to the directory, and for all answers for a message",
             reader::positive_duration(d.timeout)),
       value("route-ldap-cache", "TIME", "5m", "how long an answer that names a store is used",
             reader::duration(d.cache)),
       value("route-ldap-negative-cache", "TIME", "1m",
             "how long an answer that names no store is used", reader::duration(d.negative_cache)),
       value("route-ldap-stale", "TIME", "10m",
             "how much longer an answer that names a store is used while the directory is down",
             reader::duration(d.stale)),
       advanced(value("route-ldap-cache-size", "N", "20000", "maximum number of cached answers",
                      reader::number(d.cache_size, 1, 10'000'000)))});
}

}  // namespace

OptionTable route_option_table(RouteSettings& settings) {
  OptionTable table;
  append(table, file_options(settings));
  append(table, directory_options(settings.directory));
  return table;
}

void check(const RouteSettings& settings, const OptionPlaces& places) {
  const DirectorySettings& d = settings.directory;
  const auto refuse = [&](const char* option, const std::string& why) {
    throw ConfigError(places.of(option) + ": " + why);
  };
  if (!d.bind_dn.empty() && d.password_file.empty()) {
    // RFC 4513 section 5.1.2: the directory would accept it as an anonymous login.
    refuse("route-ldap-bind-dn", "needs a password; set route-ldap-password-file");
  }
  if (d.bind_dn.empty() && !d.password_file.empty()) {
    refuse("route-ldap-password-file", "needs an entry to log in as; set route-ldap-bind-dn");
  }
  if (d.uris.empty() && (!d.base.empty() || !d.bind_dn.empty())) {
    refuse(d.base.empty() ? "route-ldap-bind-dn" : "route-ldap-base",
           "needs a directory; set route-ldap");
  }
  const auto plain = [](const std::string& uri) { return !is_ldaps(uri) && !is_ldapi(uri); };
  if (d.tls == DirectoryTls::kStartTls && !std::all_of(d.uris.begin(), d.uris.end(), plain)) {
    refuse("route-ldap-tls",
           "\"starttls\": needs ldap:// URIs; remove it, as ldaps:// has TLS without it");
  }
}

Secret read_directory_password(const DirectorySettings& settings, uid_t reader) {
  if (settings.password_file.empty()) {
    return Secret();
  }
  const Secret file = read_secret_file(settings.password_file, reader, "the password");
  std::string_view text = file.text();
  // The line end is not part of the password.
  text.remove_suffix(text.ends_with('\n') ? 1 : 0);
  text.remove_suffix(text.ends_with('\r') ? 1 : 0);
  if (text.empty() || text.find_first_of(std::string_view("\n\r\0", 3)) != text.npos) {
    throw ConfigError(settings.password_file + ": expected one line with the password");
  }
  return Secret(text);
}

}  // namespace lmtpq::mailer

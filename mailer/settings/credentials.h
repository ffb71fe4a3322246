// The password file: lines of `DEST user:password`.
//
//   # comment
//   inet:imap1.example.org:24  lmtpuser:correct horse battery staple
//   imap2.example.org          other:p:w
//   .example.org               lmtpuser:for every other host of the domain
//
// DEST has any of its forms, or is `.DOMAIN`, which means all hosts below it. Without a port
// it matches every port of that host. A DEST with a port is compared by the port's number, so that
// `:24` is the same as `:lmtp`. The user ends at the first colon; the password is everything after
// it up to the end of the line (LF or CRLF), blanks included. Neither contains control characters.
//
// Errors are ConfigErrors with file, line and remedy. They never quote the line, which may be a
// password. The passwords are wiped with the object.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "mailer/settings/auth_settings.h"
#include "mailer/settings/destination.h"

namespace lmtpq::mailer {

class Credentials {
 public:
  static Credentials read(const std::string& path, uid_t reader);
  static Credentials parse(std::string_view text, const std::string& name);

  // The line for the destination, and for the user unless that is empty: a line of the host comes
  // before one of a domain, a longer domain before a shorter one, a line with the port before one
  // without, and the first of those that are left. nullptr: there is none.
  const Login* find(const Destination& destination, std::string_view user) const;

 private:
  struct Line {
    Destination destination;
    Login login;
    std::tuple<bool, std::size_t, bool> rank() const;
  };
  static std::optional<Line> parse_line(std::string_view line, const std::string& place);
  std::vector<Line> lines_;
};

}  // namespace lmtpq::mailer

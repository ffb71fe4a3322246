// The password file: `DEST user:password` lines.
//
// What it is: the file's lines, parsed, and the look-up of the one for a destination.
// What it does not know: SASL; when a login is wanted.
// Called by: main, once, with the rights that the file asks for.
// Threads and lifetimes: a move-only value; passwords are wiped with it.
// Failure: ConfigError with file, line and remedy; the line's text is never repeated, as it may
//   be a password.
//
//   # comment
//   inet:imap1.example.org:24  lmtpuser:correct horse battery staple
//   imap2.example.org          other:p:w
//
// DEST is any of DEST's forms. Without a port it stands for every port of that host; a port is
// compared as it is written, so `:24` is not `:lmtp`, nor a DEST without one. The user ends at the
// first colon; the password is all that follows up to the line's end (LF or CRLF), blanks included.
// No control character stands in either.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mailer/settings/auth_settings.h"
#include "mailer/settings/destination.h"

namespace lmtpq::mailer {

class Credentials {
 public:
  static Credentials read(const std::string& path, uid_t reader);
  static Credentials parse(std::string_view text, const std::string& name);

  // The line for the destination, and the user unless that is empty; nullptr: none. One with the
  // port counts more than one without, else the first.
  const Login* find(const Destination& destination, std::string_view user) const;

 private:
  struct Line {
    Destination destination;
    Login login;
  };
  static std::optional<Line> parse_line(std::string_view line, const std::string& place);
  std::vector<Line> lines_;
};

}  // namespace lmtpq::mailer

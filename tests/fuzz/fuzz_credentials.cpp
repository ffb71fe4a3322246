// Any bytes as a password file give logins without control characters, which are found by their
// destination, or an error of one line that quotes nothing of the text.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/config_error.h"
#include "mailer/settings/credentials.h"

namespace {

bool sound(const lmtpq::mailer::Login& login) {
  const std::string all = login.user + std::string(login.password.text());
  for (const char c : all) {
    if ((c >= 0 && c < ' ') || c == '\x7f') {
      return false;
    }
  }
  return !login.user.empty() && !login.password.empty() &&
         login.user.find(':') == std::string::npos;
}

// The error is the number of the line and one of a few known texts.
bool is_known_error(std::string_view said) {
  said.remove_prefix(said.starts_with("corpus:") ? 7 : 0);
  said.remove_prefix(std::min(said.find_first_not_of("0123456789"), said.size()));
  for (const std::string_view known :
       {": expected `DEST user:password`",
        ": no DEST at the beginning (unix:PATH, inet:HOST[:PORT], inet:[ADDRESS][:PORT], "
        "smtp:HOST[:PORT] or .DOMAIN[:PORT]); expected `DEST user:password`",
        ": no user before the colon; expected `DEST user:password`",
        ": no password after the colon; expected `DEST user:password`",
        ": control character in user or password"}) {
    if (said == known) {
      return true;
    }
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const lmtpq::mailer::Credentials credentials =
        lmtpq::mailer::Credentials::parse(text, "corpus");
    for (const char* const asked :
         {"h", "h:24", "unix:/s", "inet:[2001:db8::1]", "a.b.c", "smtp:a.b"}) {
      const lmtpq::mailer::Login* const login =
          credentials.find(lmtpq::mailer::parse_destination(asked), "");
      if (login != nullptr &&
          (!sound(*login) ||
           credentials.find(lmtpq::mailer::parse_destination(asked), login->user) != login)) {
        std::abort();
      }
    }
  } catch (const lmtpq::ConfigError& error) {
    if (!is_known_error(error.what())) {
      std::abort();
    }
  }
  return 0;
}

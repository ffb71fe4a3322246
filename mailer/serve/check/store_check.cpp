#include "mailer/serve/check/store_check.h"

#include <unistd.h>

#include "common/network/unix_socket.h"
#include "common/privileges.h"
#include "mailer/io/dialer.h"
#include "mailer/io/secure_loader.h"
#include "mailer/settings/build_features.h"
#include "mailer/settings/secrets.h"
#include "mailer/store/connector.h"

namespace lmtpq::mailer {
namespace {

void check_tls(Store& store, const Settings& process) {
  const uid_t reader = geteuid();
  {
    const AsRoot rights;
    read_key(store, reader);
  }
  const Log log("lmtpq", "stderr", LogLevel::kWarning);
  SocketDialer dialer;
  Connector(store, process, dialer, log).read_tls();
}

void check_login(Store& store, Findings& findings) {
  {
    const uid_t reader = geteuid();
    const AsRoot rights;
    read_login(store, reader);
  }
  const AuthSettings& auth = store.settings.auth;
  if (!auth.password_file.empty() && store.login.password.empty()) {
    findings.warning(store.settings.places.of("auth-password-file") + ": \"" + auth.password_file +
                     "\": no line for " + store.destination.text +
                     (auth.user.empty() ? "" : " and " + auth.user));
  }
}

void check_mechanisms(const StoreSettings& settings) {
  if (settings.auth.wanted() && kSasl.built_in) {
    at_place(settings.places.of("auth-mechanisms"),
             [&] { secure_library().require_mechanisms(settings.auth.mechanisms); });
  }
}

}  // namespace

void check_store(Store& store, const std::string& place, const Settings& process,
                 Findings& findings) {
  const Destination& destination = store.destination;
  if (destination.family == Destination::Family::kUnix) {
    findings.attempt([&] { at_place(place, [&] { check_socket_access(destination.host); }); });
  }
  findings.attempt([&] { check_tls(store, process); });
  findings.attempt([&] { check_login(store, findings); });
  findings.attempt([&] { check_mechanisms(store.settings); });
  if (!store.near_miss.empty()) {
    findings.warning(destination.text + ": no section is for it, but " + store.near_miss +
                     " is for another port or protocol of the host; correct one of the two");
  }
}

}  // namespace lmtpq::mailer

#include "mailer/settings/secrets.h"

#include "common/privileges.h"
#include "common/secret.h"
#include "common/tag/key_file.h"
#include "mailer/settings/credentials.h"

namespace lmtpq::mailer {
namespace {

// An error of `read` begins with the option that names the file.
template <typename Read>
auto read_named(const char* option, Read read) {
  try {
    return read();
  } catch (const ConfigError& error) {
    throw ConfigError(std::string(option) + ": " + error.what());
  }
}

}  // namespace

void read_secrets(Store& store, uid_t reader) {
  TlsSettings& tls = store.settings.tls;
  if (!tls.certificate_file.empty() && store.wants_tls()) {
    const bool together = tls.key_file.empty();
    const char* const option =
        together ? "--tls-cert (with the key, as --tls-key is not set)" : "--tls-key";
    tls.key = read_named(option, [&] {
      return read_secret_file(together ? tls.certificate_file : tls.key_file, reader, "the key");
    });
  }
  const AuthSettings& auth = store.settings.auth;
  store.login.user = auth.user;
  if (!auth.password_file.empty()) {
    const Credentials all = read_named(
        "--auth-password-file", [&] { return Credentials::read(auth.password_file, reader); });
    if (const Login* const login = all.find(store.destination, auth.user)) {
      store.login = {login->user, Secret(login->password.text())};
    }
  }
}

bool read_secrets(Command command, Settings& settings) {
  const uid_t reader = future_user(settings.user);
  const AsRoot rights;
  if (command != Command::kProbe && settings.tag_keys != "none") {
    settings.keys = read_named("--tag-keys",
                               [&] { return read_key_file_or_default(settings.tag_keys, reader); });
  }
  bool any = !settings.keys.empty();
  for (Store& store : settings.stores) {
    read_secrets(store, reader);
    any = any || !store.settings.tls.key.empty() || !store.login.password.empty();
  }
  return any;
}

void read_secrets(DaemonSettings& settings) {
  for (ListenerSettings& listener : settings.listeners) {
    read_secrets(Command::kServe, listener.settings);
  }
  const uid_t reader = future_user(settings.process.user);
  const AsRoot rights;
  settings.directory_password = read_named("--route-ldap-password-file", [&] {
    return read_directory_password(settings.process.routes.directory, reader);
  });
}

}  // namespace lmtpq::mailer

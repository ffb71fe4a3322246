#include "mailer/settings/secrets.h"

#include <unistd.h>

#include <cerrno>

#include "common/config_error.h"
#include "common/open_file.h"
#include "common/privileges.h"
#include "common/secret.h"
#include "common/tag/key_file.h"
#include "mailer/settings/credentials.h"

namespace lmtpq::mailer {
namespace {

uid_t future_user_of(const Settings& settings) {
  return at_place(settings.places.of("user"), [&] { return future_user(settings.user); });
}

// The default file is there, and not for this user: a script's deliver has no use for keys.
bool does_without_keys(Command command, const Settings& settings) {
  return command == Command::kDeliver && settings.tag_keys.empty() &&
         eaccess(kDefaultKeyFile, R_OK) != 0 && errno == EACCES;
}

}  // namespace

void read_key(Store& store, uid_t reader) {
  TlsSettings& tls = store.settings.tls;
  if (!tls.certificate_file.empty() && store.wants_tls()) {
    const bool together = tls.key_file.empty();
    const std::string place =
        together ? tls.places.of("tls-cert") + " (with the key, as tls-key is not set)"
                 : tls.places.of("tls-key");
    tls.key = at_place(place, [&] {
      return read_secret_file(together ? tls.certificate_file : tls.key_file, reader, "the key");
    });
  }
}

void read_login(Store& store, uid_t reader) {
  const AuthSettings& auth = store.settings.auth;
  store.login.user = auth.user;
  if (!auth.password_file.empty()) {
    const Credentials all = at_place(store.settings.places.of("auth-password-file"),
                                     [&] { return Credentials::read(auth.password_file, reader); });
    if (const Login* const login = all.find(store.destination, auth.user)) {
      store.login = {login->user, Secret(login->password.text())};
    }
  }
}

void read_secrets(Store& store, uid_t reader) {
  read_key(store, reader);
  read_login(store, reader);
}

bool read_secrets(Command command, Settings& settings) {
  const uid_t reader = future_user_of(settings);
  const AsRoot rights;
  if (command != Command::kProbe && !does_without_keys(command, settings)) {
    settings.keys = read_keys(settings, reader);
  }
  bool any = !settings.keys.empty();
  for (Store& store : settings.stores) {
    read_secrets(store, reader);
    any = any || !store.settings.tls.key.empty() || !store.login.password.empty();
  }
  return any;
}

Keyring read_keys(const Settings& settings, uid_t reader) {
  return at_place(settings.places.of("tag-keys"), [&] {
    return settings.tag_keys == "none" ? Keyring()
                                       : read_key_file_or_default(settings.tag_keys, reader);
  });
}

bool lacks_keys(const Settings& settings, const Keyring& keys) {
  return settings.ignore_quota == IgnoreQuota::kTagged && settings.tag_keys.empty() && keys.empty();
}

std::string remedy_for_no_keys() {
  return std::string("make them with ") + kMakeKeyFile + " and reload, or set tag-keys = none";
}

void require_directory_ca_file(const Settings& process) {
  const std::string& file = process.routes.directory.ca_file;
  if (is_other_than_file(file)) {
    throw ConfigError(process.places.of("route-ldap-ca-file") + ": \"" + file +
                      "\": not a regular file; name a readable PEM file");
  }
}

void read_secrets(DaemonSettings& settings) {
  require_directory_ca_file(settings.process);
  for (ListenerSettings& listener : settings.listeners) {
    read_secrets(Command::kServe, listener.settings);
  }
  const uid_t reader = future_user_of(settings.process);
  const AsRoot rights;
  settings.directory_password =
      at_place(settings.process.places.of("route-ldap-password-file"),
               [&] { return read_directory_password(settings.process.routes.directory, reader); });
}

}  // namespace lmtpq::mailer

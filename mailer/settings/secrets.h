// Reads the secrets that the settings name: keys of tags and of certificates, passwords.
//
// Called before root's rights are given up, because the files may be readable by root only; the
// daemon reads them again at SIGHUP, as its user. Throws ConfigError with option, file and remedy.
#pragma once

#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {

// Returns whether there were any.
bool read_secrets(Command command, Settings& settings);
void read_secrets(DaemonSettings& settings);
// That route-ldap-ca-file is no pipe or device, which libldap would read without end.
void require_directory_ca_file(const Settings& process);
// The keys of tags.
Keyring read_keys(const Settings& settings, uid_t reader);
// Tags decide about the quota, and there is no key only because the default file does not exist:
// nobody has chosen that.
bool lacks_keys(const Settings& settings, const Keyring& keys);
inline constexpr const char* kWithoutKeys = "every tag is rejected, every quota is honoured";
std::string remedy_for_no_keys();
// Those for one store; `reader` is the user that lmtpq runs as.
void read_secrets(Store& store, uid_t reader);
void read_key(Store& store, uid_t reader);    // of its certificate
void read_login(Store& store, uid_t reader);  // from the password file

}  // namespace lmtpq::mailer

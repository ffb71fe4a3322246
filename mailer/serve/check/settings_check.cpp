#include "mailer/serve/check/settings_check.h"

#include <unistd.h>

#include <cerrno>
#include <map>
#include <utility>

#include "common/privileges.h"
#include "mailer/routes/watched_route_file.h"
#include "mailer/serve/check/listening_check.h"
#include "mailer/serve/check/store_check.h"
#include "mailer/serve/configuration/own_listeners.h"
#include "mailer/serve/ldap/ldap_directory.h"
#include "mailer/settings/secrets.h"

namespace lmtpq::mailer {
namespace {

// `end`: "/" where it must be a folder, which the rights of root do not tell.
void check_access(const Settings& settings, const char* option, const std::string& path, int how,
                  const char* remedy, const char* end = "") {
  if (!path.empty() && eaccess((path + end).c_str(), how) != 0) {
    throw ConfigError(settings.places.of(option) + ": \"" + path + "\": " + error_as_user(errno) +
                      "; " + remedy);
  }
}

void check_folder(const Settings& settings, const char* option, const std::string& path) {
  check_access(settings, option, path, W_OK | X_OK,
               "let this user write in the folder, or name another one", "/");
}

void check_folders(const Settings& settings, Findings& findings) {
  findings.attempt([&] { require_writable_log(settings); });
  findings.attempt([&] { check_folder(settings, "spool-dir", settings.spool_dir); });
  findings.attempt([&] { check_folder(settings, "transcript-dir", settings.transcript_dir); });
}

Keyring keys_of(const Settings& settings) {
  const uid_t reader = geteuid();
  const AsRoot rights;
  return read_keys(settings, reader);
}

void check_keys(const ListenerSettings& listener, Findings& findings) {
  findings.attempt([&] {
    if (lacks_keys(listener.settings, keys_of(listener.settings))) {
      findings.warning("listener " + listener.address.text + ": no keys: " + kWithoutKeys + "; " +
                       remedy_for_no_keys());
    }
  });
}

// The stores that were checked: each once, wherever it is named.
class StoreChecks {
 public:
  StoreChecks(const DaemonSettings& settings, Findings& findings)
      : settings_(settings), findings_(findings), own_(settings.listeners) {}

  const OwnListeners& own() const { return own_; }
  std::size_t count() const { return dialled_.size(); }

  // One that mail is sent to.
  void add_dialled(const Destination& destination, const std::string& place) {
    if (dialled_.contains(destination.text)) {
      return;
    }
    const Store store = add(destination, place);
    has_tls_ = has_tls_ || store.wants_tls();
    dialled_.emplace(destination.text, destination);
  }
  // One that a section is for: perhaps Sendmail's M line names it, or a directory.
  void add_section(const Destination& destination) {
    for (const auto& [text, dialled] : dialled_) {
      if (destination.covers(dialled)) {
        return;
      }
    }
    has_tls_ = add(destination, settings_.process.config_file).wants_tls() || has_tls_;
  }
  void warn_of_unused_options() {
    for (const char* const option : {"tls-cert", "tls-ca-file", "tls-ca-path", "tls-crl-file"}) {
      if (!has_tls_ && settings_.process.places.given(option)) {
        findings_.warning(settings_.process.places.of(option) +
                          ": has no effect, as no store of this file is reached with TLS");
      }
    }
  }

 private:
  Store add(const Destination& destination, const std::string& place) {
    Store store;
    findings_.attempt([&] {
      store = settings_.store_for(destination);
      check_timeouts(settings_, store);
    });
    if (store.destination.text.empty()) {
      store.destination = destination;
      return store;
    }
    check_store(store, store.section.empty() ? place : store.section, settings_.process, findings_);
    return store;
  }

  const DaemonSettings& settings_;
  Findings& findings_;
  const OwnListeners own_;
  std::map<std::string, Destination> dialled_;
  bool has_tls_ = false;
};

void check_destinations(const Settings& settings, StoreChecks& stores, Findings& findings) {
  const std::string place = settings.places.of("destination");
  for (const Destination& destination : settings.destinations) {
    findings.attempt([&] { at_place(place, [&] { stores.own().refuse(destination); }); });
    stores.add_dialled(destination, place);
  }
}

void check_route_file(const Settings& process, StoreChecks& stores, Findings& findings) {
  const std::string& file = process.routes.file;
  if (file.empty()) {
    return;
  }
  const Log log("lmtpq", "stderr", LogLevel::kWarning);
  findings.attempt([&] {
    at_place(process.places.of("route-file"), [&] {
      WatchedRouteFile(file, log, [&](const Destination& destination) {
        stores.own().refuse(destination);
        Destination dialled = destination;
        dialled.lmtp_port = process.tcp_port;
        stores.add_dialled(dialled, file);
      });
    });
  });
}

void check_directory(const Settings& process, Findings& findings) {
  const DirectorySettings& directory = process.routes.directory;
  findings.attempt([&] {
    check_access(process, "route-ldap-ca-file", directory.ca_file, R_OK, "let this user read it");
    require_directory_ca_file(process);
  });
  findings.attempt([&] {
    const uid_t reader = geteuid();
    const AsRoot rights;
    at_place(process.places.of("route-ldap-password-file"),
             [&] { read_directory_password(directory, reader); });
  });
  if (!directory.uris.empty()) {
    const Log log("lmtpq", "stderr", LogLevel::kWarning);
    CuttableWork look_ups;
    findings.attempt([&] { ldap_routes(directory, Secret(), log, look_ups); });
  }
}

}  // namespace

std::size_t check_settings(const DaemonSettings& settings, Findings& findings) {
  const Settings& process = settings.process;
  check_folders(process, findings);
  findings.attempt([&] { keys_of(process); });
  StoreChecks stores(settings, findings);
  check_destinations(process, stores, findings);
  for (const ListenerSettings& listener : settings.listeners) {
    check_keys(listener, findings);
    check_destinations(listener.settings, stores, findings);
  }
  if (!settings.listeners.empty()) {
    check_own_sockets(process, findings);
  }
  check_route_file(process, stores, findings);
  check_directory(process, findings);
  for (const Destination& destination : settings.in_sections) {
    stores.add_section(destination);
  }
  stores.warn_of_unused_options();
  return stores.count();
}

}  // namespace lmtpq::mailer

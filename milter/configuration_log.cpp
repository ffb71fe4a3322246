#include "milter/configuration_log.h"

#include <exception>
#include <string>

#include "common/tag/key_file.h"
#include "common/version.h"
#include "milter/process/socket_name.h"

namespace lmtpq::milter {
namespace {

long long count_of(std::size_t number) { return static_cast<long long>(number); }

std::string names_of(const Policy& policy) {
  std::string names;
  for (const Rule& rule : policy.rules()) {
    names += (names.empty() ? "" : ",") + rule.name;
  }
  return names;
}

std::string names_of(const Keyring& keys) {
  std::string names;
  for (const Key& key : keys.keys()) {
    names += (names.empty() ? "" : ",") + key.id();
  }
  return names;
}

// `previous`: before a reload; nullptr: at the start.
void log_rules(const Configuration& configuration, const Configuration* previous, const Log& log) {
  for (const Rule& rule : configuration.policy.rules()) {
    log.info(Record("rule-settings").add("rule", rule.name).add("definition", rule.summary()));
    if (rule.anyone_can_match()) {
      log.warning(Record("rule-open-to-anyone")
                      .add("rule", rule.name)
                      .add("effect", "anyone can match it, and fill mailboxes beyond their quota")
                      .add("remedy", "add client, auth or tls-subject"));
    }
  }
  if (configuration.policy.rules().empty()) {
    Record record("no-rules");
    if (previous != nullptr && !previous->policy.rules().empty()) {
      record.add("lost", names_of(previous->policy));
    }
    log.warning(record.add("effect", "every quota is honoured")
                    .add("remedy", "add a [rule.NAME], or see whether the file is complete"));
  }
  if (configuration.keys.empty()) {
    Record record("no-keys");
    if (previous != nullptr && !previous->keys.empty()) {
      record.add("lost", names_of(previous->keys));
    }
    log.warning(record.add("effect", "no tag is written, every quota is honoured")
                    .add("remedy", std::string(kMakeKeyFile) +
                                       ", then restart; copy the file to the hosts of lmtpq"));
  }
}

void log_changes_that_need_a_restart(const Settings& running, const Settings& fresh,
                                     const Log& log) {
  const struct {
    const char* name;
    bool changed;
  } fixed[] = {{"socket", running.socket != fresh.socket},
               {"user", running.user != fresh.user},
               {"pid-file", running.pid_file != fresh.pid_file},
               {"log", running.log != fresh.log},
               {"log-level", running.log_level != fresh.log_level}};
  for (const auto& [name, changed] : fixed) {
    if (changed) {
      log.warning(Record("restart-needed")
                      .add("option", name)
                      .add("effect", "the change takes effect after a restart"));
    }
  }
}

}  // namespace

void log_start(const LoadedConfiguration& loaded, const Log& log) {
  Record record("serving");
  record.add("version", kVersion);
  for (const auto& [name, text] : loaded.effective) {
    record.add(name, text);
  }
  log.info(record.add("keys", count_of(loaded.configuration->keys.keys().size())));
  log_rules(*loaded.configuration, nullptr, log);
  if (open_to_network(SocketName::parse(loaded.settings.socket))) {
    log.warning(Record("socket-open-to-network")
                    .add("socket", loaded.settings.socket)
                    .add("effect", "other hosts can connect, and get tags signed")
                    .add("remedy", "unix:PATH, or inet:PORT@127.0.0.1, or a firewall"));
  }
}

void warn_of_unreadable_files(const std::vector<std::string>& arguments, const Settings& settings,
                              const Log& log) {
  try {
    load_configuration(arguments);
  } catch (const std::exception& error) {
    log.warning(Record("reload-will-fail")
                    .add("user", settings.user)
                    .add("error", error.what())
                    .add("remedy", "let the user's group read the file: chgrp, chmod 640"));
  }
}

void log_reload(const LoadedConfiguration& fresh, const Configuration& previous,
                const Settings& running, const Log& log) {
  log.info(Record("reloaded")
               .add("rules", count_of(fresh.configuration->policy.rules().size()))
               .add("keys", count_of(fresh.configuration->keys.keys().size())));
  log_changes_that_need_a_restart(running, fresh.settings, log);
  log_rules(*fresh.configuration, &previous, log);
}

void log_reload_failure(const char* error, const Log& log) noexcept {
  try {
    log.error(
        Record("reload-failed").add("error", error).add("effect", "previous configuration kept"));
  } catch (const std::exception&) {
    // Out of memory for the line too: the milter continues with its configuration.
  }
}

}  // namespace lmtpq::milter

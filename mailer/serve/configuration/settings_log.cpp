#include "mailer/serve/configuration/settings_log.h"

#include <unistd.h>

#include <set>

#include "common/options/option_table.h"
#include "common/version.h"
#include "mailer/settings/secrets.h"
#include "mailer/settings/store_settings.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kDaemon = "daemon";
constexpr const char* kBalanceNames[] = {"reuse", "order", "weight", "least-used"};
constexpr const char* kIgnoreQuotaNames[] = {"always", "tagged", "retry", "never"};

std::string names_of(const std::vector<Destination>& destinations) {
  std::string made;
  for (const Destination& destination : destinations) {
    made += (made.empty() ? "" : ",") + destination.text;
  }
  return made;
}

Record record_of(const ServeSettings& serve) {
  const auto or_none = [](const std::string& text) { return text.empty() ? "none" : text; };
  Record made("daemon-settings");
  made.add("control", or_none(serve.control))
      .add("metrics", or_none(serve.metrics))
      .add("mailbox-limit", static_cast<long long>(serve.mailbox_limit))
      .add("max-clients", static_cast<long long>(serve.max_clients))
      .add("balance", kBalanceNames[static_cast<int>(serve.balance)]);
  return made;
}

Record record_of(const ListenerSettings& listener) {
  Record made("listener-settings");
  made.add("listener", listener.address.text);
  if (!listener.name.empty()) {
    made.add("name", listener.name);
  }
  made.add("destination", names_of(listener.settings.destinations))
      .add("ignore-quota", kIgnoreQuotaNames[static_cast<int>(listener.settings.ignore_quota)]);
  if (listener.settings.over_quota) {
    made.add("over-quota", listener.settings.over_quota->text());
  }
  made.add("tag-keys", listener.settings.keys.empty() ? "none" : "yes");
  return made;
}

void warn_of_missing_keys(const Configuration& configuration, const Log& log) {
  for (const ListenerSettings& listener : configuration.settings().listeners) {
    if (lacks_keys(listener.settings, listener.settings.keys)) {
      log.warning(Record("no-keys")
                      .add("listener", listener.address.text)
                      .add("effect", kWithoutKeys)
                      .add("remedy", remedy_for_no_keys()));
    }
  }
}

// Has no secrets: only the names of their files are options.
Record record_of(const Store& store) {
  StoreSettings settings;
  OptionTable table = store_option_table(settings);
  append(table, pool_option_table(settings.pool));
  Record made("store-settings");
  made.add("destination", store.destination.text);
  if (store.destination.follows_lmtp_port() && store.destination.lmtp_port != kLmtpPort) {
    made.add("tcp-port", static_cast<long long>(store.destination.lmtp_port));
  }
  for (const auto& setting : store.effective) {
    const Option* const option = find_option(table, setting.first);
    if (option != nullptr && option->fallback != setting.second) {
      made.add(setting.first, setting.second);
    }
  }
  return made;
}

Record gone(const std::string& what) {
  const std::string name = what.substr(what.find(' ') + 1);
  if (what.starts_with("listener ")) {
    return Record("listener-settings").add("listener", name).add("change", "gone");
  }
  return Record("store-settings").add("destination", name).add("change", "gone");
}

LoggedSettings lines_of(const Configuration& configuration, const PoolRegistry& pools) {
  LoggedSettings made;
  made.emplace(kDaemon, record_of(configuration.settings().process.serve));
  std::set<std::string> wanted;
  for (const ListenerSettings& listener : configuration.settings().listeners) {
    made.emplace("listener " + listener.address.text, record_of(listener));
    for (const Destination& destination : listener.settings.destinations) {
      wanted.insert(destination.text);
    }
  }
  for (const auto& pool : pools.all()) {
    const std::string& name = pool->store().destination.text;
    if (wanted.contains(name)) {
      made.insert_or_assign("store " + name, record_of(pool->store()));
    }
  }
  return made;
}

}  // namespace

LoggedSettings log_start(const Configuration& configuration, const PoolRegistry& pools,
                         const Log& log) {
  LoggedSettings made = lines_of(configuration, pools);
  log.info(
      Record("serving")
          .add("version", kVersion)
          .add("pid", static_cast<long long>(getpid()))
          .add("config", configuration.settings().process.config_file)
          .add("listeners", static_cast<long long>(configuration.settings().listeners.size())));
  for (const auto& [what, record] : made) {
    log.info(record);
  }
  warn_of_missing_keys(configuration, log);
  return made;
}

LoggedSettings log_reload(const Configuration& configuration, const PoolRegistry& pools,
                          const LoggedSettings& before, const Log& log) {
  LoggedSettings made = lines_of(configuration, pools);
  long long changes = 0;
  for (const auto& [what, record] : made) {
    const auto old = before.find(what);
    if (old == before.end() || old->second.text() != record.text()) {
      Record line = record;
      log.info(line.add("change", old == before.end() ? "new" : "changed"));
      ++changes;
    }
  }
  for (const auto& [what, record] : before) {
    if (!made.contains(what)) {
      log.info(gone(what));
      ++changes;
    }
  }
  log.info(Record("reloaded")
               .add("listeners", static_cast<long long>(configuration.settings().listeners.size()))
               .add("changes", changes));
  warn_of_missing_keys(configuration, log);
  return made;
}

}  // namespace lmtpq::mailer

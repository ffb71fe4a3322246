#include "mailer/settings/load_settings.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "common/options/option_reader.h"
#include "common/options/option_table.h"
#include "mailer/settings/build_features.h"
#include "mailer/settings/destination_sections.h"
#include "mailer/settings/secrets.h"

namespace lmtpq::mailer {
namespace {

void require_features(const Store& store) {
  const AuthSettings& auth = store.settings.auth;
  if (auth.wanted()) {
    require(kSasl, !auth.user.empty()            ? "--auth-user"
                   : !auth.password_file.empty() ? "--auth-password-file"
                                                 : "--auth-mechanisms");
  }
}

void require_features(const Settings& process) {
  if (!process.routes.directory.uris.empty()) {
    require(kLdap, "--route-ldap");
  }
  if (!process.serve.metrics.empty()) {
    require(kPrometheus, "--metrics");
  }
}

void check(const Settings& settings) {
  if (settings.stores.empty()) {
    throw ConfigError("no destination; expected unix:PATH or inet:HOST[:PORT]");
  }
  for (const Store& store : settings.stores) {
    check(store);
    require_features(store);
    if (settings.timeouts.answer() <= store.settings.timeouts.data_done) {
      throw ConfigError(
          "--mta-timeout must be longer than --data-done-timeout, by 30s or by a tenth of itself");
    }
  }
}

std::vector<Destination> parse_all(const std::vector<std::string>& words) {
  std::vector<Destination> made;
  std::transform(words.begin(), words.end(), std::back_inserter(made),
                 [](const std::string& word) { return parse_destination(word); });
  return made;
}

// Applies the command line and the file; returns the operands.
std::vector<std::string> load_options(OptionReader& options,
                                      const std::vector<std::string>& arguments,
                                      Settings& settings) {
  if (std::find(arguments.begin(), arguments.end(), "--help") != arguments.end()) {
    throw ConfigError("--help must be the only argument");
  }
  std::vector<std::string> operands = options.take_arguments(arguments);
  settings.config_file = options.argument_or_default("config");
  options.take_file(settings.config_file, options.named_in_arguments("config"));
  options.apply();
  return operands;
}

// Removes the `address` lines from a listener's section, and returns their addresses.
std::vector<Destination> take_addresses(FreeSection& section) {
  std::vector<Destination> addresses;
  std::erase_if(section.lines, [&](const FreeSection::Line& line) {
    if (line.name != "address") {
      return false;
    }
    try {
      const std::vector<Destination> named = parse_destinations(line.value);
      addresses.insert(addresses.end(), named.begin(), named.end());
    } catch (const ConfigError& error) {
      throw ConfigError(line.place + "address: " + error.what());
    }
    return true;
  });
  if (addresses.empty()) {
    throw ConfigError(section.place + "[" + kListenerPrefix + section.name +
                      "]: no address; expected address = unix:PATH or inet:HOST[:PORT]");
  }
  return addresses;
}

// The settings of one listener: its section overrides what is above the sections.
void load_listener(const OptionReader& options, const FreeSection& section,
                   const std::vector<Destination>& operands, Settings& settings) {
  const OptionTable of_listeners = listener_table(settings);
  OptionTable others = option_table(Command::kServe, settings);
  std::erase_if(others, [&](const Option& option) {
    return std::any_of(of_listeners.begin(), of_listeners.end(),
                       [&](const Option& one) { return one.name == option.name; });
  });
  options.apply_section({}, others);
  options.apply_section(section, of_listeners);
  const bool named =
      std::any_of(section.lines.begin(), section.lines.end(),
                  [](const FreeSection::Line& line) { return line.name == "destination"; });
  if (!named && !operands.empty()) {
    settings.destinations = operands;
  }
  settings.stores = find_stores(options, settings.destinations);
}

// "FILE:" of "FILE:LINE: ".
std::string file_of(const std::string& place) {
  return place.substr(0, place.rfind(':', place.size() - 3) + 1);
}

void add_listeners(const OptionReader& options, const FreeSection& section,
                   const std::vector<Destination>& addresses,
                   const std::vector<Destination>& operands, DaemonSettings& made) {
  for (const Destination& address : addresses) {
    ListenerSettings listener;
    listener.name = section.name;
    listener.address = address;
    try {
      load_listener(options, section, operands, listener.settings);
      check(listener.settings);
    } catch (const ConfigError& error) {
      const std::string text = error.what();
      const bool has_place = section.name.empty() || text.starts_with(file_of(section.place));
      throw ConfigError(
          has_place ? text : section.place + "[" + kListenerPrefix + section.name + "]: " + text);
    }
    made.listeners.push_back(std::move(listener));
  }
}

void refuse_duplicates(const std::vector<ListenerSettings>& listeners) {
  for (auto later = listeners.begin(); later != listeners.end(); ++later) {
    for (auto earlier = listeners.begin(); earlier != later; ++earlier) {
      if (earlier->address.text == later->address.text) {
        throw ConfigError(later->address.text + ": two listeners have this address");
      }
    }
  }
}

}  // namespace

std::vector<std::string> load_settings(Command command, const std::vector<std::string>& arguments,
                                       Settings& settings) {
  OptionReader options(option_table(command, settings), {kDestinationPrefix, kListenerPrefix});
  std::vector<std::string> operands = load_options(options, arguments, settings);
  if (command != Command::kDeliver && !operands.empty()) {
    settings.destinations = parse_all(operands);
    operands.clear();
  }
  if (command == Command::kProbe && settings.destinations.size() > 1) {
    throw ConfigError("expected one DEST; found " + std::to_string(settings.destinations.size()));
  }
  settings.stores = find_stores(options, settings.destinations);
  check(settings);
  if (command == Command::kDeliver && operands.empty()) {
    throw ConfigError("no recipient; expected lmtpq deliver -d DEST -f SENDER RCPT...");
  }
  if (command == Command::kDeliver && !options.named_in_arguments("sender")) {
    throw ConfigError("no sender; expected -f ADDRESS, or -f '' for none");
  }
  return operands;
}

DaemonSettings load_daemon_settings(const std::vector<std::string>& arguments) {
  DaemonSettings made;
  const auto file =
      std::make_shared<OptionReader>(option_table(Command::kServe, made.process),
                                     std::vector<std::string>{kDestinationPrefix, kListenerPrefix});
  OptionReader& options = *file;
  const std::vector<Destination> operands =
      parse_all(load_options(options, arguments, made.process));
  if (made.process.serve.status) {
    return made;
  }
  add_listeners(options, {}, made.process.serve.listen, operands, made);
  for (FreeSection& section : options.free_sections(kListenerPrefix)) {
    const std::vector<Destination> addresses = take_addresses(section);
    add_listeners(options, section, addresses, operands, made);
  }
  refuse_duplicates(made.listeners);
  check(made.process.routes);
  require_features(made.process);
  made.store_for = [file](const Destination& destination) {
    Store store = std::move(find_stores(*file, {destination}).front());
    check(store);
    require_features(store);
    read_secrets(store, geteuid());
    return store;
  };
  return made;
}

void warn_of_spool(const Settings& settings, const Log& log) {
  if (eaccess(settings.spool_dir.c_str(), W_OK | X_OK) != 0) {
    log.warning(Record("spool-unusable")
                    .add("spool-dir", settings.spool_dir)
                    .add("error", std::strerror(errno))
                    .add("effect", "messages over 256 KiB will be deferred"));
  }
}

void warn_of_sections(const Settings& settings, const Log& log) {
  for (const Store& store : settings.stores) {
    if (!store.near_miss.empty()) {
      log.warning(Record("section-near-miss")
                      .add("destination", store.destination.text)
                      .add("near", store.near_miss)
                      .add("tls-level", kTlsLevelNames[static_cast<int>(store.settings.tls.level)])
                      .add("effect", "the options above the sections apply")
                      .add("remedy", "correct the port of the destination or of the section"));
    }
  }
}

void warn_of_daemon_settings(const DaemonSettings& settings, const Log& log) {
  warn_of_spool(settings.process, log);
  for (const ListenerSettings& listener : settings.listeners) {
    warn_of_sections(listener.settings, log);
  }
}

void check_config_file(const Settings& settings) {
  const std::string& path = settings.config_file;
  if (!settings.user.empty() && eaccess(path.c_str(), R_OK) != 0 && errno != ENOENT) {
    throw ConfigError(path + ": " + std::strerror(errno) + " as user " + settings.user +
                      "; run chmod 644 on it, or chmod 755 on its folder");
  }
}

}  // namespace lmtpq::mailer

#include "mailer/settings/load_settings.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "common/escape.h"
#include "common/open_file.h"
#include "common/options/option_reader.h"
#include "common/options/option_table.h"
#include "mailer/settings/build_features.h"
#include "mailer/settings/destination_sections.h"

namespace lmtpq::mailer {
namespace {

void require_features(const Store& store) {
  const AuthSettings& auth = store.settings.auth;
  if (auth.wanted()) {
    const char* const option = !auth.user.empty()            ? "auth-user"
                               : !auth.password_file.empty() ? "auth-password-file"
                                                             : "auth-mechanisms";
    require(kSasl, store.settings.places.of(option));
  }
}

void require_features(const Settings& process) {
  if (!process.routes.directory.uris.empty()) {
    require(kLdap, process.places.of("route-ldap"));
  }
  if (!process.serve.metrics.empty()) {
    require(kPrometheus, process.places.of("metrics"));
  }
}

std::string shown(std::chrono::milliseconds time) {
  constexpr std::pair<int, const char*> kUnits[] = {{3'600'000, "h"}, {60'000, "m"}, {1000, "s"}};
  for (const auto& [length, unit] : kUnits) {
    if (time.count() % length == 0) {
      return std::to_string(time.count() / length) + unit;
    }
  }
  return std::to_string(time.count()) + "ms";
}

// Reports the place of the value that the admin has set.
void check_timeouts(const Settings& settings, const Store& store) {
  const auto mta = settings.timeouts.mta;
  const auto data_done = store.settings.timeouts.data_done;
  if (settings.timeouts.answer() > data_done) {
    return;
  }
  const char* const margin =
      " by 30s, or by a tenth of mta-timeout if that is less; raise mta-timeout, or lower "
      "data-done-timeout";
  if (settings.places.given("mta-timeout")) {
    throw ConfigError(settings.places.of("mta-timeout") + ": \"" + shown(mta) +
                      "\": must be longer than data-done-timeout (" + shown(data_done) + ')' +
                      margin);
  }
  throw ConfigError(store.settings.places.of("data-done-timeout") + ": \"" + shown(data_done) +
                    "\": must be shorter than mta-timeout (" + shown(mta) + ')' + margin);
}

void check(const Settings& settings, Findings* findings = nullptr) {
  if (settings.stores.empty()) {
    throw ConfigError("no destination; expected unix:PATH, inet:HOST[:PORT] or smtp:HOST[:PORT]");
  }
  for (const Store& store : settings.stores) {
    attempt(findings, [&] {
      check(store);
      require_features(store);
      check_timeouts(settings, store);
    });
  }
}

std::vector<Destination> parse_all(const std::vector<std::string>& words) {
  std::vector<Destination> made;
  std::transform(words.begin(), words.end(), std::back_inserter(made), [](const std::string& word) {
    return at_place("DEST \"" + escaped(word) + '"', [&] { return parse_destination(word); });
  });
  return made;
}

// Applies the command line and the file; returns the operands.
std::vector<std::string> load_options(OptionReader& options,
                                      const std::vector<std::string>& arguments,
                                      Settings& settings) {
  std::vector<std::string> operands = options.take_arguments(arguments);
  settings.config_file = options.argument_or_default("config");
  options.take_file(settings.config_file, options.named_in_arguments("config"));
  options.apply();
  settings.places = options.places();
  return operands;
}

// "FILE:LINE: [listener.NAME]".
std::string titled(const std::string& place, const FreeSection& section) {
  return place + "[" + kListenerPrefix + section.name + "]";
}

struct ListenAddress {
  Destination destination;
  std::string place;
};

// The `address` lines of a listener's section.
std::vector<ListenAddress> addresses_of(const FreeSection& section) {
  std::vector<ListenAddress> addresses;
  for (const FreeSection::Line& line : section.lines) {
    if (line.name == "address") {
      at_place(line.place + "address: \"" + escaped(line.value) + '"', [&] {
        for (const Destination& named : parse_listen_addresses(line.value)) {
          addresses.push_back({named, titled(line.place, section)});
        }
      });
    }
  }
  if (addresses.empty()) {
    throw ConfigError(titled(section.place, section) +
                      ": no address; expected address = unix:PATH or inet:HOST[:PORT]");
  }
  return addresses;
}

// The settings of one listener: its section overrides what is above the sections.
void load_listener(const OptionReader& options, const FreeSection& section,
                   const std::vector<Destination>& operands, Settings& settings) {
  const OptionTable of_listeners = listener_table(settings);
  OptionTable others = option_table(Command::kServe, settings);
  std::erase_if(others, [&](const Option& option) {
    return find_option(of_listeners, option.name) != nullptr;
  });
  options.apply_section({}, others);
  options.apply_section(section, of_listeners);
  const auto has = [&](std::string_view key) {
    return std::any_of(section.lines.begin(), section.lines.end(),
                       [&](const FreeSection::Line& line) { return line.name == key; });
  };
  settings.places = options.places(section);
  if (!has("destination") && !operands.empty()) {
    settings.destinations = operands;
    settings.places.add("destination", "DEST");
  }
  if (has("over-quota")) {
    settings.over_quota = settings.store_defaults.over_quota;
  }
  settings.stores = find_stores(options, settings.destinations, settings.tcp_port);
}

// "FILE:" of "FILE:LINE: ".
std::string file_of(const std::string& place) {
  return place.substr(0, place.rfind(':', place.size() - 3) + 1);
}

void add_listeners(const OptionReader& options, const FreeSection& section,
                   const std::vector<ListenAddress>& addresses,
                   const std::vector<Destination>& operands, DaemonSettings& made) {
  for (const ListenAddress& address : addresses) {
    ListenerSettings listener;
    listener.name = section.name;
    listener.address = address.destination;
    listener.place = address.place;
    try {
      load_listener(options, section, operands, listener.settings);
      check(listener.settings, options.findings());
    } catch (const ConfigError& error) {
      const std::string text = error.what();
      const bool has_place = section.name.empty() || text.starts_with("--") ||
                             text.starts_with(file_of(section.place));
      throw ConfigError(has_place ? text : titled(section.place, section) + ": " + text);
    }
    made.listeners.push_back(std::move(listener));
  }
}

void refuse_duplicates(const std::vector<ListenerSettings>& listeners) {
  for (auto later = listeners.begin(); later != listeners.end(); ++later) {
    for (auto earlier = listeners.begin(); earlier != later; ++earlier) {
      if (earlier->address.text == later->address.text) {
        throw ConfigError(later->place + ": " + later->address.text +
                          " is already the address of " + name_of(*earlier) + "; remove one");
      }
    }
  }
}

}  // namespace

std::vector<std::string> load_settings(Command command, const std::vector<std::string>& arguments,
                                       Settings& settings) {
  OptionReader options = option_reader(command, settings);
  std::vector<std::string> operands = load_options(options, arguments, settings);
  if (command != Command::kDeliver && !operands.empty()) {
    settings.destinations = parse_all(operands);
    operands.clear();
  }
  if (command == Command::kProbe && settings.destinations.size() > 1) {
    throw ConfigError("expected one DEST; found " + std::to_string(settings.destinations.size()));
  }
  settings.stores = find_stores(options, settings.destinations, settings.tcp_port);
  check(settings);
  if (command == Command::kDeliver && operands.empty()) {
    throw ConfigError("no recipient; expected lmtpq deliver -d DEST -f SENDER RCPT...");
  }
  if (command == Command::kDeliver && !options.named_in_arguments("sender")) {
    throw ConfigError("no sender; expected -f ADDRESS, or -f '' for none");
  }
  return operands;
}

std::string name_of(const ListenerSettings& listener) {
  const std::size_t end = listener.place.rfind(": ");
  return end == std::string::npos
             ? listener.place
             : listener.place.substr(end + 2) + " (" + listener.place.substr(0, end) + ")";
}

DaemonSettings load_daemon_settings(const std::vector<std::string>& arguments, Findings* findings) {
  DaemonSettings made;
  const auto file = std::make_shared<OptionReader>(option_reader(Command::kServe, made.process));
  OptionReader& options = *file;
  options.collect_errors(findings);
  const std::vector<Destination> operands =
      parse_all(load_options(options, arguments, made.process));
  if (made.process.serve.status) {
    return made;
  }
  std::vector<ListenAddress> addresses;
  for (const Destination& address : made.process.serve.listen) {
    addresses.push_back({address, made.process.places.of("listen")});
  }
  attempt(findings, [&] { add_listeners(options, {}, addresses, operands, made); });
  for (const FreeSection& section : options.free_sections(kListenerPrefix)) {
    attempt(findings,
            [&] { add_listeners(options, section, addresses_of(section), operands, made); });
  }
  attempt(findings, [&] { refuse_duplicates(made.listeners); });
  attempt(findings, [&] { check(made.process.routes, made.process.places); });
  attempt(findings, [&] { require_features(made.process); });
  made.in_sections = section_destinations(options);
  made.options_for = [file, port = made.process.tcp_port](const Destination& destination) {
    return std::move(find_stores(*file, {destination}, port).front());
  };
  made.store_for = [options_for = made.options_for](const Destination& destination) {
    Store store = options_for(destination);
    check(store);
    require_features(store);
    return store;
  };
  return made;
}

void require_listeners(const DaemonSettings& settings) {
  if (settings.listeners.empty()) {
    throw ConfigError("no listener; expected --listen ADDRESS, or [listener.NAME] in the file");
  }
}

void check_timeouts(const DaemonSettings& settings, const Store& store) {
  check_timeouts(settings.process, store);
}

void require_writable_log(const Settings& settings) {
  at_place(settings.places.of("log"), [&] { require_writable(settings.log); });
}

void warn_of_spool(const Settings& settings, const Log& log) {
  if (eaccess((settings.spool_dir + '/').c_str(), W_OK | X_OK) != 0) {
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
                      .add("remedy", "correct the destination or the name of the section"));
    }
  }
}

void warn_of_daemon_settings(const DaemonSettings& settings, const Log& log) {
  warn_of_spool(settings.process, log);
  for (const ListenerSettings& listener : settings.listeners) {
    warn_of_sections(listener.settings, log);
  }
}

}  // namespace lmtpq::mailer

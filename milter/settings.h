// What the admin can set, as the milter uses it.
//
// What it is: plain values, the one option table, and load(): defaults, file and argv to Settings
//   and Configuration.
// What it does not know: what the values do.
// Called by: main at start, and again on SIGHUP.
// Threads and lifetimes: values; load() runs in one thread at a time.
// Failure: ConfigError, one line for the admin with file, line and what was expected. Nothing of a
//   configuration with an error is used.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/config.h"
#include "common/log.h"
#include "milter/policy/configuration.h"

namespace lmtpq::milter {

enum class Task {
  kServe,
  kCheck,    // read the configuration, and say whether it is good
  kExplain,  // one message from standard input: which rule, why, and which tag
};

struct Settings {
  Task task = Task::kServe;
  std::string config_file;
  std::string socket;  // unix:PATH or inet:PORT@HOST, as checked
  std::string user;    // empty: whoever started us
  std::string pid_file;
  std::string log;
  LogLevel log_level = LogLevel::kInfo;
  bool foreground = false;

  // What the Configuration is made of, beside the rules.
  std::string tag_keys;  // empty: kDefaultKeyFile, if that file exists
  std::vector<std::string> tag_mailers;
  std::chrono::milliseconds tag_lifetime{0};
  bool bind_queue_id = true;
  std::vector<std::string> trace_fields;
  ClientSet trusted_clients;
  FailureAction failure = FailureAction::kAccept;

  // --explain
  std::string client, sender, recipients, auth, tls_subject, queue_id;
};

inline constexpr const char* kDefaultConfigFile = "/etc/lmtpq/milter.conf";
inline constexpr const char* kDefaultSocket = "unix:/run/lmtpq/milter.sock";

struct Loaded {
  Settings settings;
  ConfigurationPtr configuration;
  std::vector<std::pair<std::string, std::string>> effective;  // for the log at start
  std::string keys_error;  // of --explain only, which goes on without keys
};

// The table; its readers write into `settings`, which must outlive it.
std::vector<Option> option_table(Settings& settings);

// Reads the file that argv names (else the default one, which must exist too: without rules a
// milter has nothing to do).
Loaded load(const std::vector<std::string>& arguments);

std::string help();

}  // namespace lmtpq::milter

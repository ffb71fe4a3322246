// What the admin can set: plain values, and the table of options that fills them.
//
// load_configuration.h reads the file and the command line through this table.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/log/log.h"
#include "common/options/option_reader.h"
#include "milter/configuration.h"
#include "milter/policy/client_set.h"

namespace lmtpq::milter {

enum class Task {
  kServe,
  kCheck,    // check the configuration and exit
  kExplain,  // one message from standard input: which rule matches, why, and which tag
};

struct Settings {
  Task task = Task::kServe;
  std::string config_file;
  std::string socket;  // unix:PATH or inet:PORT@HOST, checked
  std::string user;    // empty: no change of user
  std::string pid_file;
  std::string log;
  LogLevel log_level = LogLevel::kInfo;
  bool foreground = false;

  // These and the rules make the Configuration.
  std::string tag_keys;  // empty: kDefaultKeyFile, if that file exists
  std::vector<std::string> tag_mailers;
  std::chrono::milliseconds tag_lifetime{0};
  bool bind_queue_id = true;
  std::vector<std::string> trace_fields;
  ClientSet trusted_clients;
  FailureAction failure = FailureAction::kAccept;

  OptionPlaces places;

  // The message for --explain.
  std::string client, sender, recipients, auth, tls_subject, queue_id;
};

inline constexpr const char* kDefaultConfigFile = "/etc/lmtpq/milter.conf";

// The readers of the table write into `settings`, which must outlive it.
OptionTable option_table(Settings& settings);

std::string help(HelpWish wish);
HelpWish wished_help(const std::vector<std::string>& arguments);

}  // namespace lmtpq::milter

// lmtpq-milter: chooses the task, and turns errors into messages and exit codes.

#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <iostream>

#include "common/config_error.h"
#include "common/descriptor.h"
#include "common/log/log.h"
#include "milter/daemon.h"
#include "milter/explain.h"
#include "milter/libmilter_callbacks.h"
#include "milter/load_configuration.h"

namespace lmtpq::milter {
namespace {

constexpr const char* kProgram = "lmtpq-milter";

using Words = std::vector<std::string>;

bool contains(const Words& words, const char* word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

int check(const LoadedConfiguration& loaded) {
  const char* const file = loaded.settings.config_file.c_str();
  const Configuration& configuration = *loaded.configuration;
  for (const Rule& rule : configuration.policy.rules()) {
    if (rule.anyone_can_match()) {
      std::printf("%s: warning: rule %s: anyone can match it; add client, auth or tls-subject\n",
                  file, rule.name.c_str());
    }
  }
  if (configuration.keys.empty()) {
    std::printf("%s: warning: no keys: no tag is written, every quota is honoured\n", file);
  }
  std::printf("%s: %zu rules, %zu keys, ok\n", file, configuration.policy.rules().size(),
              configuration.keys.keys().size());
  return EX_OK;
}

int run_explain(const LoadedConfiguration& loaded) {
  try {
    explain(loaded, std::cin, std::cout, time(nullptr));
    return EX_OK;
  } catch (const ConfigError& error) {
    std::fprintf(stderr, "%s: %s\n", kProgram, error.what());
    return EX_USAGE;
  }
}

// --check and --explain are run by a person, who reads standard error; a failed start is logged.
void report(const char* error, const Words& arguments) {
  std::fprintf(stderr, "%s: %s\n", kProgram, error);
  if (!contains(arguments, "--check") && !contains(arguments, "--explain")) {
    Log(kProgram, "syslog", LogLevel::kInfo).error(Record("not-started").add("error", error));
  }
}

// On SIGHUP the file is read again, from another working directory.
void make_config_path_absolute(const Settings& settings, Words& arguments) {
  if (!settings.config_file.starts_with('/')) {
    arguments.insert(std::find(arguments.begin(), arguments.end(), "--"),
                     "--config=" + std::filesystem::absolute(settings.config_file).string());
  }
}

int run(Words arguments) {
  try {
    const LoadedConfiguration loaded = load_configuration(arguments);
    make_config_path_absolute(loaded.settings, arguments);
    switch (loaded.settings.task) {
      case Task::kCheck:
        return check(loaded);
      case Task::kExplain:
        return run_explain(loaded);
      case Task::kServe:
        break;
    }
    run_daemon(arguments, loaded);
  } catch (const std::exception& error) {
    report(error.what(), arguments);
    return EX_CONFIG;
  }
}

int run_program(const Words& arguments) {
  fill_standard_descriptors();
  if (contains(arguments, "--help")) {
    std::fputs(help().c_str(), stdout);
    return EX_OK;
  }
  if (contains(arguments, "--version")) {
    std::printf("%s %s\nwith: libmilter %s\n", kProgram, LMTPQ_VERSION,
                libmilter_version().c_str());
    return EX_OK;
  }
  return run(arguments);
}

}  // namespace
}  // namespace lmtpq::milter

int main(int argc, char** argv) { return lmtpq::milter::run_program({argv + 1, argv + argc}); }

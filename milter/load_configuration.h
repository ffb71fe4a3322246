// Reads the command line, the configuration file and the keys, at start and on SIGHUP.
//
// Throws ConfigError: one line with the file, the line and what was expected. Nothing of a
// configuration with an error is used. Not for two threads at a time.
#pragma once

#include <string>
#include <vector>

#include "common/options/option_reader.h"
#include "milter/configuration.h"
#include "milter/settings.h"

namespace lmtpq::milter {

struct LoadedConfiguration {
  Settings settings;
  ConfigurationPtr configuration;
  OptionReader::Effective effective;  // for the log at start
  std::string keys_error;             // --explain continues without keys; empty: none
};

// The configuration file must exist: a milter without rules has nothing to do.
// With `findings` the errors go there, and what is wrong is left out.
LoadedConfiguration load_configuration(const std::vector<std::string>& arguments,
                                       Findings* findings = nullptr);

}  // namespace lmtpq::milter

// Log lines about the configuration, at start and at a reload.
#pragma once

#include <string>
#include <vector>

#include "common/log/log.h"
#include "milter/load_configuration.h"

namespace lmtpq::milter {

void log_start(const LoadedConfiguration& loaded, const Log& log);

// Warns when the files that root read at start are unreadable for the user that runs the milter, so
// that a reload would fail.
void warn_of_unreadable_files(const std::vector<std::string>& arguments, const Settings& settings,
                              const Log& log);

// The new rules and keys, and a warning for each changed option that needs a restart.
void log_reload(const LoadedConfiguration& fresh, const Configuration& previous,
                const Settings& running, const Log& log);

void log_reload_failure(const char* error, const Log& log) noexcept;

}  // namespace lmtpq::milter

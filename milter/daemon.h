// Runs the milter: opens the socket as root, changes the user, goes into the background, answers
// the MTA until SIGTERM or SIGINT, reloads on SIGHUP.
//
// Throws when the start fails, and then removes its socket. Otherwise ends the process.
#pragma once

#include <string>
#include <vector>

#include "milter/load_configuration.h"

namespace lmtpq::milter {

[[noreturn]] void run_daemon(const std::vector<std::string>& arguments,
                             const LoadedConfiguration& loaded);

}  // namespace lmtpq::milter

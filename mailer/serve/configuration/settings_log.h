// The log lines about settings: at start one for the daemon, each listener and each store; at a
// reload those that are new, changed or gone.
//
// A store's line has the settings that differ from the defaults. Used by the main thread.
#pragma once

#include <map>
#include <string>

#include "common/log/log.h"
#include "mailer/serve/configuration/configuration.h"

namespace lmtpq::mailer {

// The line of each listener and store, by "listener ADDRESS" or "store DESTINATION".
using LoggedSettings = std::map<std::string, Record>;

LoggedSettings log_start(const Configuration& configuration, const PoolRegistry& pools,
                         const Log& log);
LoggedSettings log_reload(const Configuration& configuration, const PoolRegistry& pools,
                          const LoggedSettings& before, const Log& log);

}  // namespace lmtpq::mailer

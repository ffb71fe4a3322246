// The daemon's own lines in the log: what it serves, and what a reload changed of it.
//
// What it is: a line for each listener and each store; what of a store's settings differs from the
//   defaults.
// What it does not know: when they are wanted.
// Called by: the daemon.
// Threads and lifetimes: the main thread.
// Failure: none.
#pragma once

#include <map>
#include <string>

#include "common/log.h"
#include "mailer/serve/configuration/configuration.h"

namespace lmtpq::mailer {

// What was said of each listener and store.
using Announced = std::map<std::string, Record>;

Announced announce_start(const Configuration& site, const PoolRegistry& pools, const Log& log);
// Only what is new, changed or gone since `before`.
Announced announce_reload(const Configuration& site, const PoolRegistry& pools,
                          const Announced& before, const Log& log);

}  // namespace lmtpq::mailer

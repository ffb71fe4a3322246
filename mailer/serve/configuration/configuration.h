// One configuration, as it is in use.
//
// What it is: the settings of a moment, the map of routes, and for each listener the pools that its
//   mail goes to, those of routes being made as the map names them.
// What it does not know: sockets, clients.
// Called by: the daemon makes one at start and at each SIGHUP; a session asks for the present one
//   with each message.
// Threads and lifetimes: immutable, shared; the last message that began with it ends it.
// Failure: ConfigError in the constructor, also for TLS files that cannot be used.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "mailer/routes/routes.h"
#include "mailer/serve/pools/pool_registry.h"
#include "mailer/settings/load.h"
#include "mailer/store/pool_list.h"

namespace lmtpq::mailer {

// A listener and where its mail goes, unless the map of routes says otherwise.
struct Door {
  const Listener* listener;
  std::unique_ptr<PoolList> pools;
};

class Configuration {
 public:
  Configuration(DaemonSettings settings, PoolRegistry& book, const Log& log);

  const DaemonSettings& settings() const { return settings_; }
  // By the text of its address; nullptr: no such listener any more.
  const Door* door(std::string_view address) const;
  Routes* routes() const { return routes_.get(); }  // nullptr: none
  std::shared_ptr<PoolList> pools(const Door& door, const std::vector<Destination>& route) const;

 private:
  std::shared_ptr<PoolList> make_pools(const Door& door,
                                       const std::vector<Destination>& route) const;

  // A map names only so many stores; what it names beyond is made anew for each message.
  static constexpr std::size_t kMaxRouted = 4096;

  DaemonSettings settings_;
  PoolRegistry& book_;
  std::vector<Door> doors_;
  std::unique_ptr<Routes> routes_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<PoolList>> routed_;  // by listener and route
};

// The one of the moment.
class CurrentConfiguration {
 public:
  std::shared_ptr<const Configuration> get() const;
  void set(std::shared_ptr<const Configuration> site);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Configuration> site_;
};

}  // namespace lmtpq::mailer

// The active configuration: settings, listeners with their pools, the routes. Replaced as a
// whole on SIGHUP.
//
// Immutable and shared once take_effect() was called; it lives until the last message that began
// with it has ended. The constructor reads the TLS files of all stores, those that routes have led
// to as well, and changes nothing yet. It throws ConfigError, also for TLS files that cannot be
// used.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "mailer/routes/watched_route_file.h"
#include "mailer/serve/configuration/own_listeners.h"
#include "mailer/serve/pools/pool_registry.h"
#include "mailer/settings/load_settings.h"
#include "mailer/store/pool_list.h"

namespace lmtpq::mailer {

// A listener, and the pools of its stores: where its mail goes unless a route says otherwise.
struct Listener {
  const std::string& name;     // of its section; empty: --listen's
  const std::string& address;  // as it was configured
  const Settings& settings;
  std::unique_ptr<PoolList> pools;
};

class Configuration {
 public:
  // `previous`: the one that is active, whose routes are shared if their file has not changed.
  Configuration(DaemonSettings settings, PoolRegistry& registry, const Log& log,
                const Configuration* previous = nullptr);

  // Puts all that was read from the TLS files into the pools. Connections that were opened with
  // other CAs, another CRL, certificate, key or password, or with settings that no store has any
  // more, are not used for another message.
  void take_effect();

  const DaemonSettings& settings() const { return settings_; }
  // By the text of its address; nullptr: there is no such listener, or no longer.
  const Listener* listener(std::string_view address) const;
  Routes* routes() const { return routes_.get(); }  // nullptr: none
  // The pools of a route's stores, with the listener's settings. ConfigError where a store cannot
  // be used.
  std::shared_ptr<PoolList> pools(const Listener& listener,
                                  const std::vector<Destination>& route) const;

 private:
  using Pool = std::shared_ptr<ConnectionPool>;

  void make_routes(const Log& log, const Configuration* previous);
  void read_tls(const Pool& pool);
  void read_tls_of_routed();
  // With its login. ConfigError.
  Store routed_store(const Destination& destination) const;
  std::shared_ptr<PoolList> make_pools(const Listener& listener,
                                       const std::vector<Destination>& route) const;

  // Lists that are kept for the next message; those beyond are made for each message.
  static constexpr std::size_t kMaxRouted = 4096;

  DaemonSettings settings_;
  PoolRegistry& registry_;
  std::vector<Listener> listeners_;
  const std::shared_ptr<const OwnListeners> own_;
  std::unique_ptr<Routes> routes_;
  const WatchedRouteFile* route_file_ = nullptr;  // among routes_
  std::map<Pool, std::shared_ptr<Tls>> renewed_;  // until take_effect()
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<PoolList>> routed_;  // by listener and route
};

// The configuration of the moment. Used by several threads.
class CurrentConfiguration {
 public:
  std::shared_ptr<const Configuration> get() const;
  void set(std::shared_ptr<const Configuration> configuration);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Configuration> configuration_;
};

}  // namespace lmtpq::mailer

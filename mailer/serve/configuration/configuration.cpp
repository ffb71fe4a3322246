#include "mailer/serve/configuration/configuration.h"

#include <unistd.h>

#include <utility>

#include "mailer/routes/watched_route_file.h"
#include "mailer/serve/configuration/own_listeners.h"
#include "mailer/serve/ldap/ldap_directory.h"
#include "mailer/settings/secrets.h"

namespace lmtpq::mailer {

namespace {

// Before a pool is made for one of them.
std::shared_ptr<const OwnListeners> check_destinations(const DaemonSettings& settings) {
  auto own = std::make_shared<const OwnListeners>(settings.listeners);
  for (const ListenerSettings& listener : settings.listeners) {
    at_place(listener.settings.places.of("destination"), [&] {
      for (const Destination& destination : listener.settings.destinations) {
        own->refuse(destination);
      }
    });
  }
  return own;
}

std::unique_ptr<Routes> make_routes(DaemonSettings& settings, const Log& log) {
  const auto own = check_destinations(settings);
  const RouteSettings& wanted = settings.process.routes;
  std::vector<std::unique_ptr<Routes>> sources;
  if (!wanted.file.empty()) {
    at_place(settings.process.places.of("route-file"), [&] {
      sources.push_back(std::make_unique<WatchedRouteFile>(
          wanted.file, log, [own](const Destination& destination) { own->refuse(destination); }));
    });
  }
  if (!wanted.directory.uris.empty()) {
    sources.push_back(ldap_routes(wanted.directory, std::move(settings.directory_password), log));
  }
  return sources.empty() ? nullptr : std::make_unique<RoutesInOrder>(std::move(sources));
}

}  // namespace

Configuration::Configuration(DaemonSettings settings, PoolRegistry& registry, const Log& log)
    : settings_(std::move(settings)), registry_(registry), routes_(make_routes(settings_, log)) {
  for (ListenerSettings& configured : settings_.listeners) {
    SharedPools pools;
    for (Store& store : configured.settings.stores) {
      // The pool takes the store over, and with it the secrets.
      pools.push_back(registry.pool(std::move(store), configured.settings));
      pools.back()->renew_tls();
    }
    listeners_.push_back(
        {configured.name, configured.address.text, configured.settings,
         std::make_unique<PoolList>(std::move(pools), settings_.process.serve.balance)});
  }
}

std::shared_ptr<PoolList> Configuration::make_pools(const Listener& listener,
                                                    const std::vector<Destination>& route) const {
  SharedPools pools;
  for (const Destination& destination : route) {
    Store store = settings_.store_for(destination);
    read_secrets(store, geteuid());
    pools.push_back(registry_.pool(std::move(store), listener.settings));
  }
  return std::make_shared<PoolList>(std::move(pools), settings_.process.serve.balance);
}

std::shared_ptr<PoolList> Configuration::pools(const Listener& listener,
                                               const std::vector<Destination>& route) const {
  std::string name = listener.address;
  for (const Destination& destination : route) {
    name += ' ' + destination.text;
  }
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = routed_.find(name); found != routed_.end()) {
      return found->second;
    }
  }
  std::shared_ptr<PoolList> made = make_pools(listener, route);
  const std::lock_guard lock(mutex_);
  return routed_.size() < kMaxRouted ? routed_.try_emplace(std::move(name), made).first->second
                                     : made;
}

const Listener* Configuration::listener(std::string_view address) const {
  for (const Listener& listener : listeners_) {
    if (listener.address == address) {
      return &listener;
    }
  }
  return nullptr;
}

std::shared_ptr<const Configuration> CurrentConfiguration::get() const {
  const std::lock_guard lock(mutex_);
  return configuration_;
}

void CurrentConfiguration::set(std::shared_ptr<const Configuration> configuration) {
  const std::lock_guard lock(mutex_);
  configuration_.swap(configuration);  // the old one is destroyed after the lock is released
}

}  // namespace lmtpq::mailer

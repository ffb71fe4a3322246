#include "mailer/serve/configuration/configuration.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

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

}  // namespace

Configuration::Configuration(DaemonSettings settings, PoolRegistry& registry, const Log& log,
                             const Configuration* previous)
    : settings_(std::move(settings)), registry_(registry), own_(check_destinations(settings_)) {
  make_routes(log, previous);
  for (ListenerSettings& configured : settings_.listeners) {
    SharedPools pools;
    for (Store& store : configured.settings.stores) {
      // The pool takes the store over, and with it the secrets.
      pools.push_back(registry.pool(std::move(store), configured.settings));
      read_tls(pools.back());
    }
    listeners_.push_back(
        {configured.name, configured.address.text, configured.settings,
         std::make_unique<PoolList>(std::move(pools), settings_.process.serve.balance)});
  }
  read_tls_of_routed();
}

void Configuration::make_routes(const Log& log, const Configuration* previous) {
  const RouteSettings& wanted = settings_.process.routes;
  const bool same_check = previous != nullptr && *previous->own_ == *own_;
  std::vector<std::unique_ptr<Routes>> sources;
  if (!wanted.file.empty()) {
    at_place(settings_.process.places.of("route-file"), [&] {
      auto file = std::make_unique<WatchedRouteFile>(
          wanted.file, log, [own = own_](const Destination& one) { own->refuse(one); },
          same_check ? previous->route_file_ : nullptr);
      route_file_ = file.get();
      sources.push_back(std::move(file));
    });
  }
  if (!wanted.directory.uris.empty()) {
    sources.push_back(ldap_routes(wanted.directory, std::move(settings_.directory_password), log,
                                  registry_.look_ups()));
  }
  if (!sources.empty()) {
    routes_ = std::make_unique<RoutesInOrder>(std::move(sources));
  }
}

void Configuration::read_tls(const Pool& pool) {
  if (!renewed_.contains(pool)) {
    renewed_.emplace(pool, pool->read_tls());
  }
}

// Of stores that a route has led to. Those whose options have changed, or that have no section any
// more, get a new pool with their next message.
void Configuration::read_tls_of_routed() {
  for (const Pool& pool : registry_.all()) {
    const Destination& destination = pool->store().destination;
    if (renewed_.contains(pool) ||
        !same_options(pool->store(), settings_.options_for(destination))) {
      continue;
    }
    const Store store = routed_store(destination);
    if (std::any_of(listeners_.begin(), listeners_.end(), [&](const Listener& listener) {
          return registry_.known(store, listener.settings) == pool;
        })) {
      read_tls(pool);
    }
  }
}

Store Configuration::routed_store(const Destination& destination) const {
  Store store = settings_.store_for(destination);
  read_secrets(store, geteuid());
  return store;
}

void Configuration::take_effect() {
  for (const Pool& pool : registry_.all()) {
    const auto found = renewed_.find(pool);
    if (found == renewed_.end()) {
      pool->expire_all();
    } else {
      pool->use_tls(std::move(found->second));
    }
  }
  renewed_.clear();
}

std::shared_ptr<PoolList> Configuration::make_pools(const Listener& listener,
                                                    const std::vector<Destination>& route) const {
  SharedPools pools;
  for (const Destination& destination : route) {
    pools.push_back(registry_.pool(routed_store(destination), listener.settings));
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

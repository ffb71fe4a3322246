#include "mailer/serve/configuration/configuration.h"

#include <utility>

#include "mailer/routes/route_file.h"
#include "mailer/serve/ldap/ldap_routes.h"

namespace lmtpq::mailer {

namespace {

std::unique_ptr<Routes> make_routes(DaemonSettings& settings, const Log& log) {
  const RouteSettings& wanted = settings.process.routes;
  std::vector<std::unique_ptr<Routes>> maps;
  if (!wanted.file.empty()) {
    maps.push_back(std::make_unique<RouteFile>(wanted.file, log));
  }
  if (!wanted.directory.uris.empty()) {
    maps.push_back(ldap_routes(wanted.directory, std::move(settings.directory_password), log));
  }
  return maps.empty() ? nullptr : std::make_unique<RoutesInOrder>(std::move(maps));
}

}  // namespace

Configuration::Configuration(DaemonSettings settings, PoolRegistry& book, const Log& log)
    : settings_(std::move(settings)), book_(book), routes_(make_routes(settings_, log)) {
  for (Listener& listener : settings_.listeners) {
    SharedPools pools;
    for (Store& store : listener.settings.stores) {
      // The pool keeps the store, and with it the secrets.
      pools.push_back(book.pool(std::move(store), listener.settings));
      pools.back()->renew_tls();
    }
    doors_.push_back(
        {&listener, std::make_unique<PoolList>(std::move(pools), settings_.process.serve.balance)});
  }
}

std::shared_ptr<PoolList> Configuration::make_pools(const Door& door,
                                                    const std::vector<Destination>& route) const {
  SharedPools pools;
  for (const Destination& destination : route) {
    pools.push_back(book_.pool(settings_.store_for(destination), door.listener->settings));
  }
  return std::make_shared<PoolList>(std::move(pools), settings_.process.serve.balance);
}

std::shared_ptr<PoolList> Configuration::pools(const Door& door,
                                               const std::vector<Destination>& route) const {
  std::string name = door.listener->address.text;
  for (const Destination& destination : route) {
    name += ' ' + destination.text;
  }
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = routed_.find(name); found != routed_.end()) {
      return found->second;
    }
  }
  std::shared_ptr<PoolList> made = make_pools(door, route);
  const std::lock_guard lock(mutex_);
  return routed_.size() < kMaxRouted ? routed_.try_emplace(std::move(name), made).first->second
                                     : made;
}

const Door* Configuration::door(std::string_view address) const {
  for (const Door& door : doors_) {
    if (door.listener->address.text == address) {
      return &door;
    }
  }
  return nullptr;
}

std::shared_ptr<const Configuration> CurrentConfiguration::get() const {
  const std::lock_guard lock(mutex_);
  return site_;
}

void CurrentConfiguration::set(std::shared_ptr<const Configuration> site) {
  const std::lock_guard lock(mutex_);
  site_.swap(site);  // the old one ends without the lock
}

}  // namespace lmtpq::mailer

#include "site.h"

#include <utility>

namespace lmtpq {

Site::Site(DaemonSettings settings, PoolBook& book) : settings_(std::move(settings)) {
  for (Listener& listener : settings_.listeners) {
    Pools::Shared pools;
    for (Store& store : listener.settings.stores) {
      // The pool keeps the store, and with it the secrets.
      pools.push_back(book.pool(std::move(store), listener.settings));
      pools.back()->renew_tls();
    }
    doors_.push_back(
        {&listener, std::make_unique<Pools>(std::move(pools), settings_.process.serve.balance)});
  }
}

const Door* Site::door(std::string_view address) const {
  for (const Door& door : doors_) {
    if (door.listener->address.text == address) {
      return &door;
    }
  }
  return nullptr;
}

std::shared_ptr<const Site> PresentSite::get() const {
  const std::lock_guard lock(mutex_);
  return site_;
}

void PresentSite::set(std::shared_ptr<const Site> site) {
  const std::lock_guard lock(mutex_);
  site_.swap(site);  // the old one ends without the lock
}

}  // namespace lmtpq

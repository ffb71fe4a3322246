// One configuration, as it is in use.
//
// What it is: the settings of a moment, and for each listener the pools that its mail goes to.
// What it does not know: sockets, clients.
// Called by: the daemon makes one at start and at each SIGHUP; a session asks for the present one
//   with each message.
// Threads and lifetimes: immutable, shared; the last message that began with it ends it.
// Failure: ConfigError in the constructor, also for TLS files that cannot be used.
#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "pool_book.h"
#include "pools.h"
#include "start.h"

namespace lmtpq {

// A listener and where its mail goes.
struct Door {
  const Listener* listener;
  std::unique_ptr<Pools> pools;
};

class Site {
 public:
  Site(DaemonSettings settings, PoolBook& book);

  const DaemonSettings& settings() const { return settings_; }
  // By the text of its address; nullptr: no such listener any more.
  const Door* door(std::string_view address) const;

 private:
  DaemonSettings settings_;
  std::vector<Door> doors_;
};

// The one of the moment.
class PresentSite {
 public:
  std::shared_ptr<const Site> get() const;
  void set(std::shared_ptr<const Site> site);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Site> site_;
};

}  // namespace lmtpq

// Answers of a directory, kept for a while.
//
// Routes by the search that found them. The least recently used one is dropped when the cache is
// full. May be used by several threads.
#pragma once

#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "mailer/io/channel.h"
#include "mailer/routes/routes.h"

namespace lmtpq::mailer {

class RouteCache {
 public:
  enum class Age { kFresh, kStale };  // kStale: to be used only while the directory is down
  struct Found {
    Route route;
    Age age;
  };

  explicit RouteCache(std::size_t capacity) : capacity_(capacity) {}

  std::optional<Found> find(const std::string& question, Clock::time_point now);
  void put(const std::string& question, Route route, Clock::time_point fresh_until,
           Clock::time_point stale_until);
  std::size_t size() const;

 private:
  struct Entry {
    std::string question;
    Route route;
    Clock::time_point fresh_until;
    Clock::time_point stale_until;
  };
  using Entries = std::list<Entry>;

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  Entries entries_;  // the most recently used first
  std::unordered_map<std::string_view, Entries::iterator> questions_;  // views into entries_
};

}  // namespace lmtpq::mailer

// What a directory said, for a while.
//
// What it is: routes by the question that they answered, the least used given up first.
// What it does not know: directories, for how long an answer is good.
// Called by: DirectoryRoutes.
// Threads and lifetimes: may be used by several threads.
// Failure: none.
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
  enum class Age { kFresh, kStale };  // kStale: only where nothing better is to be had
  struct Found {
    Route route;
    Age age;
  };

  explicit RouteCache(std::size_t most) : most_(most) {}

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

  const std::size_t most_;
  mutable std::mutex mutex_;
  Entries entries_;                                                    // the latest used first
  std::unordered_map<std::string_view, Entries::iterator> questions_;  // views into entries_
};

}  // namespace lmtpq::mailer

#include "mailer/routes/directory_pool.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace lmtpq::mailer {
namespace {

using Kind = Directory::Result::Kind;

constexpr std::chrono::minutes kLogInterval{1};

bool answered(const Directory::Result& result) {
  return result.kind == Kind::kFound || result.kind == Kind::kRefused;
}

}  // namespace

DirectoryPool::DirectoryPool(OpenDirectory open, const Log& log, Limits limits, Now now)
    : open_(std::move(open)),
      log_(log),
      limits_(limits),
      now_(std::move(now)),
      backoff_(limits.backoff, limits.max_backoff) {
  idle_.reserve(limits_.connections);  // so that give_back() does not fail
}

std::vector<Directory::Result> DirectoryPool::search(const Filters& filters, Deadline& latest) {
  const auto all_lost = [&](const std::string& why) {
    return std::vector<Directory::Result>(filters.size(), {Kind::kLost, {}, why});
  };
  for (const Which which : {Which::kAny, Which::kNew}) {
    Leased leased = take(which, latest);
    if (!leased.connection) {
      return all_lost(leased.failure);
    }
    if (!leased.reused) {
      latest = std::max(latest, deadline());
    }
    std::vector<Directory::Result> results;
    try {
      results = leased.connection->search(filters, latest);
    } catch (const std::exception& error) {
      results = all_lost(error.what());
    }
    const auto answers = std::count_if(results.begin(), results.end(), &answered);
    if (static_cast<std::size_t>(answers) == filters.size()) {
      give_back(std::move(leased.connection));
      return results;
    }
    leased.connection.reset();
    const auto too_long = std::find_if(results.begin(), results.end(), [](const auto& result) {
      return result.kind == Kind::kTooLong;
    });
    if (too_long != results.end()) {
      note_too_long(filters[static_cast<std::size_t>(too_long - results.begin())], too_long->error);
    }
    if (answers > 0 || too_long != results.end()) {
      lose(Loss::kOne, "");
      return results;
    }
    const std::string reason = results.front().error;
    if (results.front().kind == Kind::kClosed && leased.reused) {
      // The directory was restarted or closes idle connections: the other idle ones are dead too.
      lose(Loss::kConnections, reason);
      continue;
    }
    lose(Loss::kDirectory, reason);
    return all_lost(reason);
  }
  return all_lost("the connection was closed");
}

DirectoryPool::Leased DirectoryPool::take(Which which, Deadline latest) {
  std::vector<Idle> expired;  // closed after the lock is released
  std::unique_lock lock(mutex_);
  while (!backoff_.blocks(now_())) {
    while (!idle_.empty() && now_() - idle_.front().since > limits_.idle) {
      expired.push_back(std::move(idle_.front()));
      idle_.erase(idle_.begin());
      --connected_;
    }
    if (which == Which::kAny && !idle_.empty()) {
      Connection newest = std::move(idle_.back().connection);
      idle_.pop_back();
      return {std::move(newest), true, {}};
    }
    if (connected_ < limits_.connections) {
      return open(lock);
    }
    if (changed_.wait_until(lock, latest) == std::cv_status::timeout) {
      return {nullptr, false, "all connections to the directory are in use"};
    }
  }
  return {nullptr, false, last_failure_};
}

DirectoryPool::Leased DirectoryPool::open(std::unique_lock<std::mutex>& lock) {
  ++connected_;
  const RetryBackoff::Try attempt = backoff_.begin();
  lock.unlock();
  Leased made;
  try {
    made.connection = open_(made.failure);
  } catch (const std::exception& error) {
    made.failure = error.what();
  }
  lock.lock();
  if (!made.connection) {
    --connected_;
    note_failure(attempt, made.failure);
  } else {
    if (!backoff_.up()) {
      log_.info(Record("directory-up"));
    }
    backoff_.succeeded(attempt);
  }
  changed_.notify_all();
  return made;
}

void DirectoryPool::give_back(Connection connection) {
  const std::lock_guard lock(mutex_);
  idle_.push_back({std::move(connection), now_()});
  changed_.notify_one();
}

// A leased connection is of no more use; unless that is for want of time, nor are the idle ones.
void DirectoryPool::lose(Loss loss, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  --connected_;
  if (loss != Loss::kOne) {
    connected_ -= idle_.size();
    idle_.clear();
  }
  if (loss == Loss::kDirectory) {
    note_failure(RetryBackoff::Try::kNormal, reason);
  }
  changed_.notify_all();
}

void DirectoryPool::note_too_long(const std::string& search, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (now_() >= too_long_) {
    too_long_ = now_() + kLogInterval;
    log_.warning(Record("directory-too-long").add("search", search).add("error", reason));
  }
}

void DirectoryPool::note_failure(RetryBackoff::Try attempt, const std::string& reason) {
  if (backoff_.up()) {
    log_.warning(Record("directory-down").add("error", reason));
  }
  last_failure_ = reason;
  backoff_.failed(attempt, now_());
}

}  // namespace lmtpq::mailer

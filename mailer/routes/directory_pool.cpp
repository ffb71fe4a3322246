#include "mailer/routes/directory_pool.h"

#include <exception>
#include <utility>

namespace lmtpq::mailer {

DirectoryPool::DirectoryPool(OpenDirectory open, const Log& log, Limits limits, Now now)
    : open_(std::move(open)),
      log_(log),
      limits_(limits),
      now_(std::move(now)),
      backoff_(limits.backoff, limits.max_backoff) {
  idle_.reserve(limits_.connections);  // so that give_back() does not fail
}

Directory::Result DirectoryPool::search(const std::string& filter) {
  using Kind = Directory::Result::Kind;
  for (const Which which : {Which::kAny, Which::kNew}) {
    Leased leased = take(which);
    if (!leased.connection) {
      return {Kind::kLost, {}, leased.failure};
    }
    Directory::Result result;
    try {
      result = leased.connection->search(filter);
    } catch (const std::exception& error) {
      result = {Kind::kLost, {}, error.what()};
    }
    if (result.kind == Kind::kFound || result.kind == Kind::kRefused) {
      give_back(std::move(leased.connection));
      return result;
    }
    leased.connection.reset();
    if (result.kind == Kind::kClosed && leased.reused) {
      // The directory was restarted or closes idle connections: the other idle ones are dead too.
      lose(Loss::kConnection, result.error);
      continue;
    }
    lose(Loss::kDirectory, result.error);
    return {Kind::kLost, {}, result.error};
  }
  return {Kind::kLost, {}, "the connection was closed"};
}

DirectoryPool::Leased DirectoryPool::take(Which which) {
  std::vector<Idle> expired;  // closed after the lock is released
  std::unique_lock lock(mutex_);
  const auto deadline = Clock::now() + limits_.wait;
  while (!backoff_.blocks(now_())) {
    while (!idle_.empty() && now_() - idle_.front().since > limits_.idle) {
      expired.push_back(std::move(idle_.front()));
      idle_.erase(idle_.begin());
      --connected_;
    }
    if (which == Which::kAny && !idle_.empty()) {
      Connection latest = std::move(idle_.back().connection);
      idle_.pop_back();
      return {std::move(latest), true, {}};
    }
    if (connected_ < limits_.connections) {
      return open(lock);
    }
    if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) {
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

// A leased connection is dead, and so are the idle ones.
void DirectoryPool::lose(Loss loss, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  connected_ -= 1 + idle_.size();
  idle_.clear();
  if (loss == Loss::kDirectory) {
    note_failure(RetryBackoff::Try::kNormal, reason);
  }
  changed_.notify_all();
}

void DirectoryPool::note_failure(RetryBackoff::Try attempt, const std::string& reason) {
  if (backoff_.up()) {
    log_.warning(Record("directory-down").add("error", reason));
  }
  last_failure_ = reason;
  backoff_.failed(attempt, now_());
}

}  // namespace lmtpq::mailer

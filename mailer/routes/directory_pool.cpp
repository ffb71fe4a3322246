#include "mailer/routes/directory_pool.h"

#include <algorithm>
#include <exception>
#include <utility>

namespace lmtpq::mailer {

DirectoryPool::DirectoryPool(OpenDirectory open, const Log& log, Limits limits, Now now)
    : open_(std::move(open)), log_(log), limits_(limits), now_(std::move(now)) {
  idle_.reserve(limits_.connections);  // to give one back must not fail
}

Directory::Answer DirectoryPool::search(const std::string& filter) {
  using Kind = Directory::Answer::Kind;
  for (const Which which : {Which::kAny, Which::kNew}) {
    Leased leased = take(which);
    if (!leased.connection) {
      return {Kind::kLost, {}, leased.words};
    }
    Directory::Answer answer;
    try {
      answer = leased.connection->search(filter);
    } catch (const std::exception& error) {
      answer = {Kind::kLost, {}, error.what()};
    }
    if (answer.kind == Kind::kFound || answer.kind == Kind::kRefused) {
      give_back(std::move(leased.connection));
      return answer;
    }
    leased.connection.reset();
    if (answer.kind == Kind::kClosed && leased.kept) {
      // The directory was started anew, or is tired of idle clients; so are the others, then.
      lose(Loss::kConnection, answer.words);
      continue;
    }
    lose(Loss::kDirectory, answer.words);
    return {Kind::kLost, {}, answer.words};
  }
  return {Kind::kLost, {}, "the connection was closed"};
}

bool DirectoryPool::rests() const {
  return rest_.count() > 0 && (on_trial_ || now_() < rests_until_);
}

DirectoryPool::Leased DirectoryPool::take(Which which) {
  std::vector<Idle> expired;  // closed behind the lock
  std::unique_lock lock(mutex_);
  const auto deadline = Clock::now() + limits_.patience;
  while (!rests()) {
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
  return {nullptr, false, sickness_};
}

DirectoryPool::Leased DirectoryPool::open(std::unique_lock<std::mutex>& lock) {
  ++connected_;
  on_trial_ = rest_.count() > 0;
  const bool trial = on_trial_;
  lock.unlock();
  Leased made;
  try {
    made.connection = open_(made.words);
  } catch (const std::exception& error) {
    made.words = error.what();
  }
  lock.lock();
  on_trial_ = on_trial_ && !trial;
  if (!made.connection) {
    --connected_;
    note_failure(made.words);
  } else if (rest_.count() > 0) {
    rest_ = rest_.zero();
    log_.info(Record().add("directory", "answers again"));
  }
  changed_.notify_all();
  return made;
}

void DirectoryPool::give_back(Connection connection) {
  const std::lock_guard lock(mutex_);
  idle_.push_back({std::move(connection), now_()});
  changed_.notify_one();
}

// A leased one is gone, and what is idle is no better.
void DirectoryPool::lose(Loss loss, const std::string& words) {
  const std::lock_guard lock(mutex_);
  connected_ -= 1 + idle_.size();
  idle_.clear();
  if (loss == Loss::kDirectory) {
    note_failure(words);
  }
  changed_.notify_all();
}

// Those that were under way when it fell sick fail too: they make its rest no longer.
void DirectoryPool::note_failure(const std::string& words) {
  sickness_ = words;
  if (rests()) {
    return;
  }
  if (rest_.count() == 0) {
    log_.warning(Record().add("directory", "does not answer").add("failed", words));
  }
  rest_ = std::clamp(2 * rest_, limits_.rest, limits_.most_rest);
  rests_until_ = now_() + rest_;
}

}  // namespace lmtpq::mailer

// A few connections to a directory, shared by all route look-ups.
//
// The number of connections is limited; connections that were idle for long are replaced. A
// directory that does not answer is down: until the backoff is over, look-ups fail at once with the
// reason of the last failure, so that a dead directory does not hold every thread for its timeout.
// Then one look-up tries again (mailer/store/retry_backoff.h).
//
// A directory that answers some of several searches in time is not down: the others are lost. Nor
// is one that sends more than a look-up may need: it may have one entry that is too long.
//
// May be used by several threads. All failures are Results of kind kLost or kTooLong with
// a reason.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/log/log.h"
#include "mailer/routes/directory.h"
#include "mailer/store/retry_backoff.h"

namespace lmtpq::mailer {

class DirectoryPool {
 public:
  struct Limits {
    std::size_t connections = 4;
    std::chrono::milliseconds wait{5000};    // until one is free, and has answered all searches
    std::chrono::milliseconds idle{60'000};  // after a longer time a firewall may have dropped it
    std::chrono::milliseconds backoff{1000};
    std::chrono::milliseconds max_backoff{30'000};
  };
  // For the backoff and the idle time; `wait` is on the real clock.
  using Now = std::function<Clock::time_point()>;

  DirectoryPool(OpenDirectory open, const Log& log, Limits limits, Now now = &Clock::now);

  // For searches that begin now.
  Deadline deadline() const { return Clock::now() + limits_.wait; }
  // As Directory::search(), which has the time of `wait` again if a connection had to be opened
  // first: `latest` is later then.
  std::vector<Directory::Result> search(const Filters& filters, Deadline& latest);

 private:
  using Connection = std::unique_ptr<Directory>;
  struct Idle {
    Connection connection;
    Clock::time_point since;
  };
  struct Leased {
    Connection connection;
    bool reused = false;  // that it is closed says nothing about the directory
    std::string failure;  // why there is no connection
  };
  enum class Which { kAny, kNew };

  Leased take(Which which, Deadline latest);
  Leased open(std::unique_lock<std::mutex>& lock);
  void give_back(Connection connection);
  enum class Loss { kOne, kConnections, kDirectory };
  void lose(Loss loss, const std::string& reason);
  void note_failure(RetryBackoff::Try attempt, const std::string& reason);
  void note_too_long(const std::string& search, const std::string& reason);

  const OpenDirectory open_;
  const Log& log_;
  const Limits limits_;
  const Now now_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Idle> idle_;     // the most recently used last
  std::size_t connected_ = 0;  // idle, leased and being opened
  RetryBackoff backoff_;
  std::string last_failure_;
  Clock::time_point too_long_;  // when it may be logged again
};

}  // namespace lmtpq::mailer

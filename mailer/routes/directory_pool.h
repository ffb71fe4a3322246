// A few connections to a directory, shared by all who look for routes.
//
// What it is: connections, idle and leased, a bound of their number, and the rest that a directory
//   is left to when it does not answer.
// What it does not know: libldap, what is asked.
// Called by: DirectoryRoutes.
// Threads and lifetimes: may be used by several threads.
// Failure: an Answer of kind kLost, with words. While the directory rests it comes at once, so that
//   a dead one does not hold every thread for its timeout: one of them tries again.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/log.h"
#include "mailer/io/channel.h"
#include "mailer/routes/directory.h"

namespace lmtpq::mailer {

class DirectoryPool {
 public:
  struct Limits {
    std::size_t connections = 4;
    std::chrono::milliseconds patience{5000};  // for one of them to come free
    std::chrono::milliseconds idle{60'000};    // longer, and a firewall may have forgotten it
    std::chrono::milliseconds rest{1000};      // doubles with each failure
    std::chrono::milliseconds most_rest{30'000};
  };
  using Now = std::function<Clock::time_point()>;

  DirectoryPool(OpenDirectory open, const Log& log, Limits limits, Now now = &Clock::now);

  Directory::Answer search(const std::string& filter);

 private:
  using Connection = std::unique_ptr<Directory>;
  struct Idle {
    Connection connection;
    Clock::time_point since;
  };
  struct Leased {
    Connection connection;
    bool kept = false;  // it served before: that it is closed says nothing about the directory
    std::string words;  // why there is none
  };
  enum class Which { kAny, kNew };

  Leased take(Which which);
  Leased open(std::unique_lock<std::mutex>& lock);
  bool rests() const;
  void give_back(Connection connection);
  enum class Loss { kConnection, kDirectory };
  void lose(Loss loss, const std::string& words);
  void note_failure(const std::string& words);

  const OpenDirectory open_;
  const Log& log_;
  const Limits limits_;
  const Now now_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Idle> idle_;     // the latest used last
  std::size_t connected_ = 0;  // idle, leased and being opened

  std::string sickness_;               // why the last question had no answer
  std::chrono::milliseconds rest_{0};  // 0: it is well
  Clock::time_point rests_until_;
  bool on_trial_ = false;  // somebody tries it again
};

}  // namespace lmtpq::mailer

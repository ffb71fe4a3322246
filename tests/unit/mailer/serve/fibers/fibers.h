// Fibers on a Reactor, for the tests of what happens there.
//
// What it is: a test's fibers, whose end can be waited for.
// What it does not know: what they do.
// Called by: the tests of the Reactor.
// Threads and lifetimes: a test's thread; outlives the fibers.
// Failure: an assertion of the test's.
#pragma once

#include <cppunit/extensions/HelperMacros.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "mailer/serve/fibers/reactor.h"
#include "tests/unit/mailer/io/socket_pair.h"

namespace lmtpq::mailer {

inline Deadline in(int time) { return Clock::now() + std::chrono::milliseconds(time); }
inline Deadline late() { return in(5000); }

template <typename Condition>
void await(Condition condition) {
  for (const Deadline latest = late(); !condition();) {
    CPPUNIT_ASSERT(Clock::now() < latest);
    std::this_thread::yield();
  }
}

// Fibers of one test: it ends when all of them are over.
class Fibers {
 public:
  void start(Reactor& reactor, std::function<void()> work) {
    ++running_;
    reactor.start([this, work = std::move(work)] {
      work();
      --running_;
    });
  }
  void await_all() {
    await([this] { return running_ == 0; });
  }

 private:
  std::atomic<int> running_ = 0;
};

inline void run(Reactor& reactor, std::function<void()> work) {
  Fibers fibers;
  fibers.start(reactor, std::move(work));
  fibers.await_all();
}

inline Scheduler& here() { return *Scheduler::current(); }

}  // namespace lmtpq::mailer

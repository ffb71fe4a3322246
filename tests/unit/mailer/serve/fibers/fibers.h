// A Reactor with the fibers of one test, whose end the test waits for.
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

// The destructor waits until all fibers are over.
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

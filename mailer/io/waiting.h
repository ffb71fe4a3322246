// How code that reads from top to bottom waits.
//
// What it is: the three ways to wait (for a descriptor, for another's call, for work that blocks),
//   each of which blocks the thread, or, on a fiber, lets the others of its thread run.
// What it does not know: fibers; a Scheduler does.
// Called by: whatever waits: channels, pools, limiters.
// Threads and lifetimes: a Scheduler belongs to one thread, and outlives the fibers on it.
// Failure: none; deadlines end every wait.
// Why: a blocked thread is a switch of tasks for each command of each client, which was a third of
//   what the daemon cost (docs/ARCHITECTURE.md).
#pragma once

#include <poll.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

#include "mailer/io/channel.h"

namespace lmtpq::mailer {

class Scheduler {
 public:
  // A fiber that sleeps; for wake().
  struct Sleeper {
    Scheduler* scheduler = nullptr;
    std::uint64_t fiber = 0;
  };

  virtual ~Scheduler() = default;
  // That of the fiber that runs; nullptr: there is none, block.
  static Scheduler* current();

  // As poll(2) on one descriptor: what happened, 0 at the deadline. kInterrupted: told to look up.
  static constexpr short kInterrupted = -1;
  virtual short wait_for(int descriptor, short events, Deadline deadline) = 0;
  // Until wake(), or the deadline, or for no reason.
  virtual void sleep(Deadline deadline) = 0;
  virtual Sleeper self() = 0;
  // From any thread.
  virtual void wake(std::uint64_t fiber) = 0;
  // Lets the others run, where the fiber that runs has had more than its share without waiting.
  virtual void pace() = 0;

 protected:
  static void set_current(Scheduler* scheduler);
};

// One that waits for its turn, under somebody's lock; what std::condition_variable is for threads.
class Waiter {
 public:
  // False: the deadline came first.
  bool wait_until(std::unique_lock<std::mutex>& lock, Deadline deadline,
                  const std::function<bool()>& due);
  void call();  // the lock is held

 private:
  std::condition_variable condition_;
  Scheduler::Sleeper sleeper_;
};

// Does work that blocks in ways of its own (name look-ups, logins) without holding up the others
// of this thread. An exception of the work's is thrown here.
void run_blocking(const std::function<void()>& work);

// poll(2) on one descriptor, interruptions handled against the deadline; 0 at the deadline.
short wait_for(int descriptor, short events, Deadline deadline);
// What is left until the deadline, rounded up to milliseconds, as poll(2) takes it.
int milliseconds_until(Deadline deadline);

}  // namespace lmtpq::mailer

// How code that reads from top to bottom waits: for a descriptor, for another thread, or for work
// that blocks.
//
// On a thread these functions block it. On a fiber the other fibers of its thread run in the
// meantime; a Scheduler does that. A Scheduler belongs to one thread and outlives the fibers on it.
// Deadlines end every wait.
//
// Why there are fibers, and why all waiting is here: docs/DECISIONS.md, "The daemon".
#pragma once

#include <poll.h>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "mailer/io/channel.h"

namespace lmtpq::mailer {

class Scheduler {
 public:
  // A sleeping fiber, for wake().
  struct Sleeper {
    Scheduler* scheduler = nullptr;
    std::uint64_t fiber = 0;
  };

  virtual ~Scheduler() = default;
  // The scheduler of the running fiber. nullptr: not on a fiber; the caller blocks the thread.
  static Scheduler* current();

  // As poll(2) on one descriptor: what happened; 0 at the deadline. kInterrupted: the caller should
  // look at its stop flag.
  static constexpr short kInterrupted = -1;
  virtual short wait_for(int descriptor, short events, Deadline deadline) = 0;
  // Until wake() or the deadline. It may also return early, for no reason.
  virtual void sleep(Deadline deadline) = 0;
  virtual Sleeper self() = 0;
  // From any thread.
  virtual void wake(std::uint64_t fiber) = 0;
  // Another fiber, for work that throws nothing. std::bad_alloc or std::system_error: there is
  // none.
  virtual void start(std::function<void()> work) = 0;
  // Lets other fibers run if the running one has used more than its share of time.
  virtual void pace() = 0;

 protected:
  static void set_current(Scheduler* scheduler);
};

// How long to wait for a turn: until the deadline, or until `given_up` is true, which is asked once
// a second, without the lock.
struct Patience {
  Patience(Deadline deadline, std::function<bool()> asked = nullptr)  // NOLINT(*-explicit-*)
      : latest(deadline), given_up(std::move(asked)) {}

  bool is_given_up() const { return given_up && given_up(); }
  // `wait` waits until the deadline that it gets; true: it is over. False: none of its waits was
  // before `latest`, or until this one was given up.
  bool wait(const std::function<bool(Deadline)>& wait) const;

  Deadline latest;
  std::function<bool()> given_up;
};

// A thread or fiber that waits for its turn under a lock: std::condition_variable for both.
class Waiter {
 public:
  // Waits until `due` holds. False: the deadline came first, or the wait was given up.
  bool wait_until(std::unique_lock<std::mutex>& lock, const Patience& patience,
                  const std::function<bool()>& due);
  void call();  // `due` may hold now; the caller holds the lock

 private:
  bool wait_for_call(std::unique_lock<std::mutex>& lock, Deadline deadline,
                     const std::function<bool()>& due);

  std::condition_variable condition_;
  Scheduler::Sleeper sleeper_;
};

// Runs work that blocks by itself (name look-ups, logins). On a fiber it runs in another thread, so
// that the other fibers go on. An exception of the work is thrown here.
void run_blocking(const std::function<void()>& work);

// Runs work(0) to work(count - 1), up to `most` at once, and returns when all have ended: on
// further fibers of this thread, or, not on a fiber, on threads. Where no fiber or thread can be
// had, those that there are do all the work. The work must not throw.
void run_side_by_side(std::size_t count, std::size_t most,
                      const std::function<void(std::size_t)>& work);

// poll(2) on one descriptor, interruptions handled against the deadline; 0 at the deadline.
short wait_for(int descriptor, short events, Deadline deadline);
short poll_now(int descriptor, short events);  // without a wait
void sleep_until(Deadline deadline);
// To be called in long work that does not wait: on a fiber, Scheduler::pace().
void pace();
// The time until the deadline in milliseconds, rounded up, as poll(2) takes it; 0 if it has passed.
int milliseconds_until(Deadline deadline);
int milliseconds_between(Clock::time_point now, Deadline deadline);

}  // namespace lmtpq::mailer

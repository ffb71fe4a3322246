// A thread that runs fibers: those that are ready, and with epoll(7) and timers those that wait.
//
// A fiber that has run for kShare, all its runs together, joins a second line: of these fibers one
// runs after each look at what has happened, when all others have run, and more if it leaves some
// of kTurn. So a small message does not wait for the many who always have something to do. After
// its turn, or a wait of kRest, a fiber has a new share.
//
// Clients starts fibers; their code waits through Scheduler (mailer/io/waiting.h). start(), wake()
// and interrupt_waits() may be called from any thread, the rest by the fibers; must outlive its
// fibers. std::bad_alloc or std::system_error from the constructor and start().
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "common/descriptor.h"
#include "mailer/io/waiting.h"
#include "mailer/serve/fibers/fiber.h"

namespace lmtpq::mailer {

class Reactor : public Scheduler {
 public:
  static constexpr std::chrono::microseconds kShare{250};
  static constexpr std::chrono::microseconds kTurn = kShare / 2;
  static constexpr std::chrono::microseconds kRest = 8 * kShare;

  Reactor();
  ~Reactor() override;

  // Every fiber that waits for a descriptor now returns kInterrupted.
  void interrupt_waits();

  short wait_for(int descriptor, short events, Deadline deadline) override;
  void sleep(Deadline deadline) override;
  Sleeper self() override;
  void wake(std::uint64_t fiber) override;
  void start(std::function<void()> work) override;
  void pace() override;

 private:
  enum class State { kReady, kRunning, kSleeping, kWaiting };
  struct Task {
    Task(FiberStacks& stacks, std::function<void()> work) : fiber(stacks, std::move(work)) {}
    Fiber fiber;
    std::uint64_t id = 0;
    State state = State::kReady;
    std::uint32_t wait = 0;  // number of its latest wait; events of earlier ones are ignored
    short happened = 0;
    Clock::duration used{};  // of its share
    Clock::time_point left;
    Deadline deadline = Deadline::max();
    Deadline timer = Deadline::max();  // in timers_, no later than the deadline
  };
  struct Timer {
    Deadline time;
    std::uint64_t task;
    bool operator<(const Timer& other) const { return time > other.time; }  // earliest first
  };
  struct Request {
    enum class Kind { kStart, kWake, kInterrupt };
    Kind kind;
    std::unique_ptr<Task> task = nullptr;
    std::uint64_t id = 0;
  };

  void run();
  void post(Request request);
  void take_requests();
  void take_request(Request request);
  void run_ready();
  void run_next(std::deque<Task*>& line);
  void run(Task& task);
  void run_timers();
  void set_timer(Task& task, Deadline time);
  void forget_timers();
  int poll_timeout();
  void poll(int milliseconds);
  void leave(State state, Deadline deadline);
  void make_ready(Task& task, short happened);
  void line_up(Task& task);
  Task* find(std::uint64_t id);

  FiberStacks stacks_;
  Descriptor epoll_;
  Descriptor wakeup_fd_;  // eventfd(2): requests_ is not empty
  std::mutex mutex_;
  std::vector<Request> requests_;
  std::atomic<bool> asleep_ = false;
  std::atomic<bool> stopping_ = false;

  // Used by the thread only.
  std::vector<std::unique_ptr<Task>> tasks_;  // index: the lower half of their ids
  std::vector<std::uint32_t> free_slots_;
  std::uint32_t generation_ = 0;
  std::uint32_t waits_ = 0;  // of all fibers: a descriptor may be registered for one that is over
  std::deque<Task*> ready_;
  std::deque<Task*> spent_;    // ready too, but have used their share
  std::vector<Timer> timers_;  // a heap
  Task* running_ = nullptr;
  Clock::time_point now_ = Clock::now();  // when the last poll or run of a fiber ended
  Clock::time_point run_began_;
  int paced_ = 0;  // times, in this run
  std::vector<epoll_event> events_;
  std::thread thread_;
};

}  // namespace lmtpq::mailer

// The thread on which clients are served, each on a fiber.
//
// What it is: epoll(7), fibers that are ready, fibers that wait, and the deadlines of those.
// What it does not know: what the fibers do.
// Called by: Clients starts fibers; their code waits through Scheduler.
// Threads and lifetimes: one thread of its own. start(), wake() and look_up() from any thread;
//   outlives its fibers.
// Failure: std::bad_alloc or std::system_error from the constructor and start().
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
  Reactor();
  ~Reactor() override;

  void start(std::function<void()> work);
  // All that wait for a descriptor return kInterrupted.
  void look_up();

  short wait_for(int descriptor, short events, Deadline deadline) override;
  void sleep(Deadline deadline) override;
  Sleeper self() override;
  void wake(std::uint64_t fiber) override;
  void pace() override;

 private:
  enum class State { kReady, kRunning, kSleeping, kWaiting };
  struct Task {
    Task(FiberStacks& stacks, std::function<void()> work) : fiber(stacks, std::move(work)) {}
    Fiber fiber;
    std::uint64_t id = 0;
    State state = State::kReady;
    std::uint32_t wait = 0;  // the present or last one: an event for another is none
    short happened = 0;
    int turns = 0;  // since it last waited
    Deadline deadline = Deadline::max();
    Deadline alarm = Deadline::max();  // in alarms_, no later than the deadline
  };
  struct Alarm {
    Deadline time;
    std::uint64_t task;
    bool operator<(const Alarm& other) const { return time > other.time; }  // the next in front
  };
  struct Request {
    enum class Kind { kStart, kWake, kLookUp };
    Kind kind;
    std::unique_ptr<Task> task = nullptr;
    std::uint64_t id = 0;
  };

  void run();
  void post(Request request);
  void take_requests();
  void take_request(Request request);
  void run_ready();
  void run(Task& task);
  void ring_alarms();
  void set_alarm(Task& task, Deadline time);
  void forget_alarms();
  int patience();
  void poll(int milliseconds);
  void leave(State state, Deadline deadline);
  void make_ready(Task& task, short happened);
  Task* find(std::uint64_t id);

  FiberStacks stacks_;
  Descriptor epoll_;
  Descriptor wakeup_fd_;  // eventfd(2): there are letters
  std::mutex mutex_;
  std::vector<Request> requests_;
  std::atomic<bool> asleep_ = false;
  std::atomic<bool> stopping_ = false;

  // The thread's own.
  std::vector<std::unique_ptr<Task>> tasks_;  // by the lower half of their ids
  std::vector<std::uint32_t> free_slots_;
  std::uint32_t generation_ = 0;
  std::uint32_t waits_ = 0;  // of all: a descriptor may be registered for a fiber that is over
  std::deque<Task*> ready_;
  std::vector<Alarm> alarms_;  // a heap
  Task* running_ = nullptr;
  std::vector<epoll_event> events_;
  std::thread thread_;
};

}  // namespace lmtpq::mailer

#include "mailer/serve/fibers/reactor.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kEvents = 256;
constexpr std::size_t kFewTimers = 1024;
constexpr std::uint64_t kWakeup = ~std::uint64_t{0};

std::uint32_t slot_of(std::uint64_t id) { return static_cast<std::uint32_t>(id); }

}  // namespace

Reactor::Reactor()
    : epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wakeup_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      events_(kEvents) {
  epoll_event event{EPOLLIN, {}};
  event.data.u64 = kWakeup;
  if (!epoll_.valid() || !wakeup_fd_.valid() ||
      epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, wakeup_fd_.number(), &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "epoll");
  }
  thread_ = std::thread([this] { run(); });
}

Reactor::~Reactor() {
  stopping_ = true;
  interrupt_waits();
  thread_.join();
}

void Reactor::start(std::function<void()> work) {
  Request request{Request::Kind::kStart};
  request.task = std::make_unique<Task>(stacks_, std::move(work));
  post(std::move(request));
}

void Reactor::interrupt_waits() { post({Request::Kind::kInterrupt}); }

void Reactor::wake(std::uint64_t fiber) {
  if (current() == this) {
    take_request({Request::Kind::kWake, nullptr, fiber});
  } else {
    post({Request::Kind::kWake, nullptr, fiber});
  }
}

void Reactor::post(Request request) {
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
  }
  if (asleep_.exchange(false)) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wakeup_fd_.number(), &one, sizeof one);
  }
}

void Reactor::take_requests() {
  std::vector<Request> requests;
  {
    const std::lock_guard lock(mutex_);
    requests.swap(requests_);
  }
  for (Request& request : requests) {
    take_request(std::move(request));
  }
}

void Reactor::take_request(Request request) {
  switch (request.kind) {
    case Request::Kind::kStart: {
      if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<std::uint32_t>(tasks_.size()));
        tasks_.emplace_back();
      }
      const std::uint32_t slot = free_slots_.back();
      free_slots_.pop_back();
      request.task->id = std::uint64_t{generation_++} << 32 | slot;
      tasks_[slot] = std::move(request.task);
      ready_.push_back(tasks_[slot].get());
      break;
    }
    case Request::Kind::kWake:
      if (Task* const task = find(request.id); task != nullptr && task->state == State::kSleeping) {
        make_ready(*task, 0);
      }
      break;
    case Request::Kind::kInterrupt:
      for (const auto& task : tasks_) {
        if (task && task->state == State::kWaiting) {
          make_ready(*task, kInterrupted);
        }
      }
      break;
  }
}

Reactor::Task* Reactor::find(std::uint64_t id) {
  const std::uint32_t slot = slot_of(id);
  return slot < tasks_.size() && tasks_[slot] && tasks_[slot]->id == id ? tasks_[slot].get()
                                                                        : nullptr;
}

void Reactor::make_ready(Task& task, short happened) {
  task.state = State::kReady;
  task.happened = happened;
  if (task.used > Clock::duration::zero() && now_ - task.left >= kRest) {
    task.used = {};
  }
  line_up(task);
}

void Reactor::line_up(Task& task) { (task.used < kShare ? ready_ : spent_).push_back(&task); }

void Reactor::run() {
  while (!stopping_) {
    take_requests();
    run_ready();
    // Before the timers: what has happened counts, although its deadline has passed as well.
    poll(poll_timeout());
    run_timers();
  }
}

// The fibers that are ready now, and some of the second line. Those that become ready in the
// meantime run after the next poll.
void Reactor::run_ready() {
  for (std::size_t left = ready_.size(); left > 0; --left) {
    run_next(ready_);
  }
  const Clock::time_point end = now_ + kTurn;
  while (!spent_.empty() && now_ < end) {
    spent_.front()->used = {};
    run_next(spent_);
  }
}

void Reactor::run_next(std::deque<Task*>& line) {
  Task& task = *line.front();
  line.pop_front();
  run(task);
}

void Reactor::run(Task& task) {
  task.state = State::kRunning;
  running_ = &task;
  run_began_ = now_;
  paced_ = 0;
  set_current(this);
  task.fiber.enter();
  set_current(nullptr);
  running_ = nullptr;
  if (task.fiber.over()) {
    const std::uint32_t slot = slot_of(task.id);
    tasks_[slot].reset();
    free_slots_.push_back(slot);
    now_ = Clock::now();
  }
}

void Reactor::run_timers() {
  if (timers_.empty()) {
    return;
  }
  while (!timers_.empty() && timers_.front().time <= now_) {
    Task* const task = find(timers_.front().task);
    const Deadline time = timers_.front().time;
    std::pop_heap(timers_.begin(), timers_.end());
    timers_.pop_back();
    if (task == nullptr || task->timer != time) {
      continue;
    }
    task->timer = Deadline::max();
    const bool waits = task->state == State::kSleeping || task->state == State::kWaiting;
    if (waits && task->deadline <= now_) {
      make_ready(*task, 0);
    } else if (waits && task->deadline != Deadline::max()) {
      set_timer(*task, task->deadline);
    }
  }
}

void Reactor::set_timer(Task& task, Deadline time) {
  if (timers_.size() >= kFewTimers && timers_.size() >= 4 * tasks_.size()) {
    forget_timers();
  }
  timers_.push_back({time, task.id});
  std::push_heap(timers_.begin(), timers_.end());
  task.timer = time;
}

// Drops timers of fibers that are over, and timers that an earlier one has replaced. Otherwise
// every client of the last ten minutes (input-timeout) would leave one.
void Reactor::forget_timers() {
  std::erase_if(timers_, [this](const Timer& timer) {
    const Task* const task = find(timer.task);
    return task == nullptr || task->timer != timer.time;
  });
  std::make_heap(timers_.begin(), timers_.end());
}

int Reactor::poll_timeout() {
  if (!ready_.empty() || !spent_.empty()) {
    return 0;
  }
  return timers_.empty() ? -1 : milliseconds_between(now_, timers_.front().time);
}

void Reactor::poll(int milliseconds) {
  if (milliseconds != 0) {
    asleep_ = true;
    const std::lock_guard lock(mutex_);
    if (!requests_.empty()) {
      milliseconds = 0;
    }
  }
  const int count = epoll_wait(epoll_.number(), events_.data(), kEvents, milliseconds);
  asleep_ = false;
  now_ = Clock::now();
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    if (event.data.u64 == kWakeup) {
      std::uint64_t ignored = 0;
      [[maybe_unused]] const ssize_t got = read(wakeup_fd_.number(), &ignored, sizeof ignored);
      continue;
    }
    const std::uint32_t slot = slot_of(event.data.u64);
    Task* const task = slot < tasks_.size() ? tasks_[slot].get() : nullptr;
    if (task != nullptr && task->state == State::kWaiting && task->wait == event.data.u64 >> 32) {
      make_ready(*task, static_cast<short>(event.events));
    }
  }
}

// A timer that fires too early is cheaper than one for each wait: most waits end long before their
// deadlines.
void Reactor::leave(State state, Deadline deadline) {
  Task& task = *running_;
  task.state = state;
  task.deadline = deadline;
  if (state != State::kReady && deadline < task.timer) {
    set_timer(task, deadline);
  }
  task.left = now_ = Clock::now();
  task.used += task.left - run_began_;
  if (state == State::kReady) {
    line_up(task);
  }
  task.fiber.leave();
}

short Reactor::wait_for(int descriptor, short events, Deadline deadline) {
  Task& task = *running_;
  task.wait = ++waits_;
  epoll_event event{static_cast<std::uint32_t>(events) | EPOLLONESHOT, {}};
  event.data.u64 = std::uint64_t{task.wait} << 32 | slot_of(task.id);
  if (epoll_ctl(epoll_.number(), EPOLL_CTL_MOD, descriptor, &event) != 0 &&
      epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return events;  // cannot wait (no memory): the read or write itself reports what is wrong
  }
  leave(State::kWaiting, deadline);
  return task.happened;
}

void Reactor::sleep(Deadline deadline) { leave(State::kSleeping, deadline); }

Scheduler::Sleeper Reactor::self() { return {this, running_->id}; }

void Reactor::pace() {
  // The first comes right after a wait: no time has passed yet.
  if (paced_++ > 0 && running_->used + (Clock::now() - run_began_) >= kShare) {
    leave(State::kReady, Deadline::max());
  }
}

}  // namespace lmtpq::mailer

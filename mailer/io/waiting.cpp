#include "mailer/io/waiting.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>

namespace lmtpq::mailer {
namespace {

constexpr std::chrono::seconds kLookInterval{1};

thread_local Scheduler* t_current = nullptr;

}  // namespace

Scheduler* Scheduler::current() { return t_current; }

void Scheduler::set_current(Scheduler* scheduler) { t_current = scheduler; }

bool Waiter::wait_until(std::unique_lock<std::mutex>& lock, const Patience& patience,
                        const std::function<bool()>& due) {
  if (!patience.given_up) {
    return wait_for_call(lock, patience.latest, due);
  }
  for (;;) {
    const Deadline look = std::min(patience.latest, Clock::now() + kLookInterval);
    if (wait_for_call(lock, look, due)) {
      return true;
    }
    if (look == patience.latest) {
      return false;
    }
    lock.unlock();
    const bool given_up = patience.given_up();
    lock.lock();
    if (given_up) {
      return due();
    }
  }
}

bool Waiter::wait_for_call(std::unique_lock<std::mutex>& lock, Deadline deadline,
                           const std::function<bool()>& due) {
  Scheduler* const scheduler = Scheduler::current();
  if (scheduler == nullptr) {
    return condition_.wait_until(lock, deadline, due);
  }
  while (!due()) {
    if (Clock::now() >= deadline) {
      return false;
    }
    sleeper_ = scheduler->self();
    lock.unlock();
    scheduler->sleep(deadline);
    lock.lock();
    sleeper_ = {};
  }
  return true;
}

void Waiter::call() {
  if (sleeper_.scheduler != nullptr) {
    sleeper_.scheduler->wake(sleeper_.fiber);
  } else {
    condition_.notify_one();
  }
}

void run_blocking(const std::function<void()>& work) {
  Scheduler* const scheduler = Scheduler::current();
  if (scheduler == nullptr) {
    work();
    return;
  }
  std::atomic<bool> done = false;
  std::exception_ptr error;
  const Scheduler::Sleeper self = scheduler->self();
  std::optional<std::thread> thread;
  try {
    thread.emplace([&] {
      try {
        work();
      } catch (...) {
        error = std::current_exception();
      }
      done = true;
      self.scheduler->wake(self.fiber);
    });
  } catch (const std::system_error&) {
    work();  // no thread can be started: the other fibers must wait
    return;
  }
  while (!done) {
    scheduler->sleep(Deadline::max());
  }
  thread->join();
  if (error) {
    std::rethrow_exception(error);
  }
}

int milliseconds_until(Deadline deadline) {
  const Clock::time_point now = Clock::now();
  if (deadline <= now) {
    return 0;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now).count();
  return static_cast<int>(std::min<long long>(left, INT_MAX));
}

short wait_for(int descriptor, short events, Deadline deadline) {
  if (Scheduler* const scheduler = Scheduler::current();
      scheduler != nullptr && deadline > Clock::now()) {
    short happened = 0;
    do {
      happened = scheduler->wait_for(descriptor, events, deadline);
    } while (happened == Scheduler::kInterrupted);
    return happened;
  }
  pollfd entry{descriptor, events, 0};
  while (poll(&entry, 1, milliseconds_until(deadline)) < 0 && errno == EINTR) {
  }
  return entry.revents;
}

}  // namespace lmtpq::mailer

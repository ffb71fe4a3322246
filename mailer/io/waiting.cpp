#include "mailer/io/waiting.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace lmtpq::mailer {
namespace {

constexpr std::chrono::seconds kLookInterval{1};

thread_local Scheduler* t_current = nullptr;

using NumberedWork = std::function<void(std::size_t)>;

void run_on_threads(std::size_t count, std::size_t most, const NumberedWork& work) {
  std::atomic<std::size_t> next = 0;
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      work(i);
    }
  };
  std::vector<std::jthread> threads;
  try {
    threads.reserve(most);
    while (threads.size() + 1 < std::min(count, most)) {
      threads.emplace_back(run);
    }
  } catch (const std::exception&) {
    // No thread or no memory for one more: the present ones do all the work.
  }
  run();
}

void run_on_fibers(Scheduler& scheduler, std::size_t count, std::size_t most,
                   const NumberedWork& work) {
  std::size_t next = 0;
  std::size_t others = 0;
  const Scheduler::Sleeper self = scheduler.self();
  const auto run = [&] {
    while (next < count) {
      work(next++);
    }
  };
  try {
    while (others + 1 < std::min(count, most)) {
      scheduler.start([&] {
        run();
        --others;
        scheduler.wake(self.fiber);
      });
      ++others;
    }
  } catch (const std::exception&) {
    // As above.
  }
  run();
  while (others > 0) {
    scheduler.sleep(Deadline::max());
  }
}

}  // namespace

Scheduler* Scheduler::current() { return t_current; }

void Scheduler::set_current(Scheduler* scheduler) { t_current = scheduler; }

bool Patience::wait(const std::function<bool(Deadline)>& wait) const {
  for (;;) {
    const Deadline look = given_up ? std::min(latest, Clock::now() + kLookInterval) : latest;
    if (wait(look)) {
      return true;
    }
    if (look == latest || is_given_up()) {
      return false;
    }
  }
}

bool Waiter::wait_until(std::unique_lock<std::mutex>& lock, const Patience& patience,
                        const std::function<bool()>& due) {
  const Patience without_lock(patience.latest, patience.given_up ? std::function([&] {
                                lock.unlock();
                                const bool given_up = patience.given_up();
                                lock.lock();
                                return given_up;
                              })
                                                                 : nullptr);
  return without_lock.wait([&](Deadline look) { return wait_for_call(lock, look, due); }) || due();
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

void run_side_by_side(std::size_t count, std::size_t most, const NumberedWork& work) {
  if (Scheduler* const scheduler = Scheduler::current()) {
    run_on_fibers(*scheduler, count, most, work);
  } else {
    run_on_threads(count, most, work);
  }
}

int milliseconds_until(Deadline deadline) { return milliseconds_between(Clock::now(), deadline); }

int milliseconds_between(Clock::time_point now, Deadline deadline) {
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

short poll_now(int descriptor, short events) {
  pollfd entry{descriptor, events, 0};
  while (poll(&entry, 1, 0) < 0 && errno == EINTR) {
  }
  return entry.revents;
}

void sleep_until(Deadline deadline) {
  Scheduler* const scheduler = Scheduler::current();
  if (scheduler == nullptr) {
    std::this_thread::sleep_until(deadline);
    return;
  }
  while (Clock::now() < deadline) {
    scheduler->sleep(deadline);
  }
}

void pace() {
  if (Scheduler* const scheduler = Scheduler::current()) {
    scheduler->pace();
  }
}

}  // namespace lmtpq::mailer

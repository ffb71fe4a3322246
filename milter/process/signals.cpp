#include "milter/process/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

namespace {

std::atomic<int> g_stopped_by = 0;

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) {
    sigaddset(&set, signal);
  }
  return set;
}

// The next signal of `set`, all of which the caller has blocked; negative: see errno.
int wait_for(const sigset_t& set) {
  int got = 0;
  do {
    got = sigwaitinfo(&set, nullptr);
  } while (got < 0 && errno == EINTR);
  return got;
}

lmtpq::Descriptor stop_signals() {
  const sigset_t set = set_of({SIGTERM, SIGINT});
  return lmtpq::Descriptor(signalfd(-1, &set, SFD_CLOEXEC));
}

}  // namespace

// libmilter's signal thread (signal.c there) waits with sigwait() for HUP, TERM and INT, and stops
// the milter on each of them. This cannot be configured. Nor can a second thread wait for SIGHUP
// beside it: the signal would go to either of the two. But a symbol of the executable overrides the
// same symbol of every library, so libmilter calls this function. It leaves SIGHUP to the thread
// below, and otherwise does what sigwait(3) does.
extern "C" int sigwait(const sigset_t* set, int* signal) {
  sigset_t without_hangup = *set;
  sigdelset(&without_hangup, SIGHUP);
  const int got = wait_for(without_hangup);
  if (got < 0) {
    return errno;
  }
  g_stopped_by = got;
  kill(getpid(), SIGHUP);  // wakes the hangup thread, which then calls on_stop
  *signal = got;
  return 0;
}

namespace lmtpq::milter {

StartGuard::StartGuard(std::function<void()> before)
    : before_(std::move(before)), done_(eventfd(0, EFD_CLOEXEC)), came_(stop_signals()) {
  thread_ = std::thread([this] { run(); });
}

StartGuard::~StartGuard() {
  eventfd_write(done_.number(), 1);
  thread_.join();
}

void StartGuard::run() const {
  std::array<pollfd, 2> entries{{{done_.number(), POLLIN, 0}, {came_.number(), POLLIN, 0}}};
  while (poll(entries.data(), entries.size(), -1) < 0) {
  }
  if (entries[0].revents == 0 &&
      poll(entries.data(), 1, static_cast<int>(std::chrono::milliseconds(kStart).count())) == 0) {
    if (before_) {
      before_();
    }
    _exit(EX_OK);
  }
}

void start_hangup_thread(OnSignals calls) {
  const auto run = [calls = std::move(calls)] {
    const sigset_t hangup = set_of({SIGHUP});
    const timespec second{1, 0};
    while (stopped_by() == 0) {
      // A SIGHUP during a call stays pending, so the last one is never missed.
      const int got = sigtimedwait(&hangup, nullptr, &second);
      if (stopped_by() == 0) {
        (got == SIGHUP ? calls.hangup : calls.second)();
      }
    }
    for (;;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      calls.stopping();
    }
  };
  std::thread(run).detach();
}

int stopped_by() { return g_stopped_by; }

}  // namespace lmtpq::milter

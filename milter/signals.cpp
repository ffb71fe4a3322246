#include "milter/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

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

// The next signal of `set`, all of which the caller has blocked; negative: errno tells why not.
int wait_for(const sigset_t& set) {
  int got = 0;
  do {
    got = sigwaitinfo(&set, nullptr);
  } while (got < 0 && errno == EINTR);
  return got;
}

}  // namespace

// libmilter's signal thread (signal.c there) waits with sigwait() for HUP, TERM and INT, and on
// each of them the milter stops. There is no way to tell it otherwise: libmilter makes the thread
// itself when it begins to serve, and a blocked signal that two threads wait for goes to either of
// them. But a symbol of the executable comes before that of any library, for the libraries too. So
// it is this function that libmilter calls. It leaves SIGHUP to the thread below, and is sigwait(3)
// in all else.
extern "C" int sigwait(const sigset_t* set, int* signal) {
  sigset_t without_hangup = *set;
  sigdelset(&without_hangup, SIGHUP);
  const int got = wait_for(without_hangup);
  if (got < 0) {
    return errno;
  }
  g_stopped_by = got;
  kill(getpid(), SIGHUP);  // wakes the hangup thread, which helps libmilter to stop
  *signal = got;
  return 0;
}

namespace lmtpq::milter {

void block_signals() {
  const sigset_t set = set_of({SIGHUP, SIGTERM, SIGINT});
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void start_hangup_thread(std::function<void()> on_hangup, std::function<void()> on_stop) {
  const auto run = [on_hangup = std::move(on_hangup), on_stop = std::move(on_stop)] {
    const sigset_t hangup = set_of({SIGHUP});
    while (stopped_by() == 0) {
      // A SIGHUP that comes from here on stays pending until the next turn: the last is not missed.
      if (wait_for(hangup) == SIGHUP && stopped_by() == 0) {
        on_hangup();
      }
    }
    for (;;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      on_stop();
    }
  };
  std::thread(run).detach();
}

int stopped_by() { return g_stopped_by; }

}  // namespace lmtpq::milter

#include "common/process/daemon_signals.h"

#include <pthread.h>

#include <initializer_list>

namespace lmtpq {

sigset_t daemon_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGHUP, SIGUSR2, SIGTERM, SIGINT}) {
    sigaddset(&set, number);
  }
  return set;
}

void block_daemon_signals() {
  const sigset_t set = daemon_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGUSR1, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
}

void unblock_daemon_signals() {
  const sigset_t set = daemon_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_DFL);
}

}  // namespace lmtpq

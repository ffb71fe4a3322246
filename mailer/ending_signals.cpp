#include "mailer/ending_signals.h"

#include <signal.h>

namespace lmtpq::mailer {

std::vector<int> ending_signals() {
  std::vector<int> all = {SIGTERM, SIGINT,    SIGHUP,  SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2,  SIGPIPE,
                          SIGXCPU, SIGVTALRM, SIGPROF, SIGIO,   SIGXFSZ, SIGPWR,  SIGSTKFLT};
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) {
    all.push_back(number);
  }
  std::erase_if(all, [](int number) {
    struct sigaction now {};
    return sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
  });
  return all;
}

}  // namespace lmtpq::mailer

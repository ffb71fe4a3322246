#include "mailer/serve/signals.h"

#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include "common/process/daemon_signals.h"

namespace lmtpq::mailer {

Signals::Signals() : status_(EX_TEMPFAIL) {
  std::thread([this] { run(); }).detach();
}

void Signals::run() {
  const sigset_t set = daemon_signals();
  for (;;) {
    const timespec second{1, 0};
    const int number = sigtimedwait(&set, nullptr, &second);
    if (number == SIGTERM || number == SIGINT) {
      stop();
    }
    std::unique_lock lock(mutex_);
    hangup_ = hangup_ || number == SIGHUP;
    upgrade_ = upgrade_ || number == SIGUSR2;
    came_.notify_one();
    if (end_ && Clock::now() >= *end_) {
      lock.unlock();
      end();
    }
  }
}

void Signals::end_without_signal() {
  const std::lock_guard lock(mutex_);
  end_ = Clock::now() + most_;
}

void Signals::set_drain(std::chrono::milliseconds drain) {
  const std::lock_guard lock(mutex_);
  most_ = drain + kGrace;
  if (end_) {
    end_ = Clock::now() + most_;  // the signal came during the start
  }
}

void Signals::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  came_.notify_one();
}

void Signals::stop() {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (stopped_.exchange(true)) {
    end_ = std::min(*end_, now + kGrace);
  } else if (!end_) {
    end_ = now + most_;
  }
  ++stops_;
}

void Signals::end() {
  // The log may block as well: then SIGALRM ends the process.
  signal(SIGALRM, SIG_DFL);
  alarm(2);
  if (const Log* const log = log_) {
    log->error(
        Record("end-forced")
            .add("effect",
                 "something blocked the end; remaining clients get no reply; possible duplicate"));
    log->flush();
  }
  std::_Exit(status_);
}

int Signals::next(std::chrono::milliseconds most, Which which) {
  std::unique_lock lock(mutex_);
  const bool all = which == Which::kAll;
  came_.wait_for(lock, most,
                 [&] { return stops_ > 0 || woken_ || (all && (hangup_ || upgrade_)); });
  woken_ = false;
  if (stops_ > 0) {
    --stops_;
    return SIGTERM;
  }
  if (!all) {
    return 0;
  }
  if (std::exchange(hangup_, false)) {
    return SIGHUP;
  }
  return std::exchange(upgrade_, false) ? SIGUSR2 : 0;
}

}  // namespace lmtpq::mailer

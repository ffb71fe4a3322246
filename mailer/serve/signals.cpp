#include "mailer/serve/signals.h"

#include <pthread.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

namespace lmtpq::mailer {
namespace {

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGHUP, SIGUSR2, SIGTERM, SIGINT}) {
    sigaddset(&set, number);
  }
  return set;
}

}  // namespace

void Signals::block() {
  const sigset_t set = our_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Signals::Signals(std::chrono::milliseconds drain) : drain_(drain), status_(EX_TEMPFAIL) {
  std::thread([this] { run(); }).detach();
}

void Signals::run() {
  const sigset_t set = our_signals();
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
  end_ = Clock::now() + drain_.load() + kGrace;
}

void Signals::stop() {
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (std::exchange(stopped_, true)) {
    end_ = std::min(*end_, now + kGrace);
  } else if (!end_) {
    end_ = now + drain_.load() + kGrace;
  }
  ++stops_;
  came_.notify_one();
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

int Signals::next(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  came_.wait_for(lock, most, [this] { return hangup_ || upgrade_ || stops_ > 0; });
  if (stops_ > 0) {
    --stops_;
    return SIGTERM;
  }
  if (std::exchange(hangup_, false)) {
    return SIGHUP;
  }
  return std::exchange(upgrade_, false) ? SIGUSR2 : 0;
}

}  // namespace lmtpq::mailer

#include "mailer/cut_by_signal.h"

#include <pthread.h>

#include "mailer/ending_signals.h"

namespace lmtpq::mailer {
namespace {

// Ends the thread: nothing else sends it, and its default is to do nothing.
constexpr int kOver = SIGURG;

}  // namespace

CutBySignal::CutBySignal(PoolList& pools) : pools_(pools) {
  sigemptyset(&signals_);
  sigaddset(&signals_, kOver);
  for (const int number : ending_signals()) {
    sigaddset(&signals_, number);
  }
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  thread_ = std::thread([this] { run(); });
}

// The signals stay blocked: all outcomes are logged, and must still be printed.
CutBySignal::~CutBySignal() {
  pthread_kill(thread_.native_handle(), kOver);
  thread_.join();
}

void CutBySignal::run() {
  int number = 0;
  sigwait(&signals_, &number);
  for (std::size_t i = 0; number != kOver && i < pools_.size(); ++i) {
    pools_[i].cut();
  }
}

}  // namespace lmtpq::mailer

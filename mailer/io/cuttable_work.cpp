#include "mailer/io/cuttable_work.h"

#include <exception>
#include <system_error>
#include <thread>
#include <utility>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

// The thread may outlive the caller and the CuttableWork.
struct CuttableWork::Call {
  void finish(bool& how) {
    const std::lock_guard lock(mutex);
    how = true;
    waiter.call();
  }

  std::mutex mutex;
  Waiter waiter;
  bool done = false;
  bool cut = false;
  std::exception_ptr error;
};

bool CuttableWork::run(std::function<void()> work) {
  const std::shared_ptr<Call> call = begin();
  if (!call) {
    return false;
  }
  auto run = [call, work = std::move(work)]() mutable {
    try {
      work();
    } catch (...) {
      call->error = std::current_exception();
    }
    work = nullptr;  // what it uses may be gone once the caller goes on
    call->finish(call->done);
  };
  try {
    std::thread(run).detach();
  } catch (const std::system_error&) {
    run();  // no thread can be started: the other fibers must wait
  }
  std::unique_lock lock(call->mutex);
  while (!call->waiter.wait_until(lock, Clock::now() + std::chrono::hours(1),
                                  [&] { return call->done || call->cut; })) {
  }
  const bool done = call->done;
  lock.unlock();
  end(call);
  if (done && call->error) {
    std::rethrow_exception(call->error);
  }
  return done;
}

void CuttableWork::cut() {
  const std::lock_guard lock(mutex_);
  cut_ = true;
  for (const std::shared_ptr<Call>& call : calls_) {
    call->finish(call->cut);
  }
}

std::shared_ptr<CuttableWork::Call> CuttableWork::begin() {
  const std::lock_guard lock(mutex_);
  return cut_ ? nullptr : *calls_.insert(std::make_shared<Call>()).first;
}

void CuttableWork::end(const std::shared_ptr<Call>& call) {
  const std::lock_guard lock(mutex_);
  calls_.erase(call);
}

}  // namespace lmtpq::mailer

// Work that blocks by itself, as run_blocking() runs it, for callers that must be able to leave it
// before it ends.
//
// May be used by several threads and fibers.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>

namespace lmtpq::mailer {

class CuttableWork {
 public:
  CuttableWork() = default;
  CuttableWork(const CuttableWork&) = delete;
  CuttableWork& operator=(const CuttableWork&) = delete;

  // Runs it in another thread, and waits for its end: what it owns is destroyed then. An exception
  // of the work is thrown here.
  // False: cut() came first. The work goes on without the caller, so it must own what it uses.
  bool run(std::function<void()> work);
  // Ends all waits, also those that begin later.
  void cut();

 private:
  struct Call;

  std::shared_ptr<Call> begin();  // nullptr: it is cut
  void end(const std::shared_ptr<Call>& call);

  std::mutex mutex_;
  std::set<std::shared_ptr<Call>> calls_;
  bool cut_ = false;
};

}  // namespace lmtpq::mailer

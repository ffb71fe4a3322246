// A thread of control that is not a thread: a stack of its own, entered and left at will.
//
// What it is: Boost.Context's switch, with what the compiler's runtime keeps per thread (exceptions
//   in flight) and what the sanitizers must hear; and a cache of stacks.
// What it does not know: when it runs (Reactor).
// Called by: Reactor.
// Threads and lifetimes: made anywhere; entered by one thread only. Must be over when it is
//   destroyed.
// Failure: std::bad_alloc when there is no stack. The work must not throw.
#pragma once

#include <boost/context/fiber.hpp>
#include <functional>
#include <mutex>
#include <vector>

namespace lmtpq::mailer {

// Stacks with a guard page, some of them kept for the next.
class FiberStacks {
 public:
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  static constexpr std::size_t kSize = 2 * 1024 * 1024;  // theirs stands on it too
#else
  static constexpr std::size_t kSize = 256 * 1024;  // only what is touched is memory
#endif

  FiberStacks() = default;
  ~FiberStacks();
  FiberStacks(const FiberStacks&) = delete;
  FiberStacks& operator=(const FiberStacks&) = delete;

  boost::context::stack_context take();
  void give_back(boost::context::stack_context stack);

 private:
  std::mutex mutex_;
  std::vector<boost::context::stack_context> free_;
};

class Fiber {
 public:
  Fiber(FiberStacks& stacks, std::function<void()> work);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs it until it leaves or is over.
  void enter();
  // From within: back to who entered.
  void leave();
  bool over() const { return over_; }

 private:
  struct Stack;
  struct Exceptions {  // as the C++ ABI has them, for each thread
    void* caught = nullptr;
    unsigned int uncaught = 0;
  };

  void body();

  std::function<void()> work_;
  bool over_ = false;
  boost::context::stack_context stack_;
  Exceptions exceptions_;
  // What the sanitizers call the two sides.
  void* own_name_ = nullptr;
  void* other_name_ = nullptr;
  void* own_frames_ = nullptr;
  const void* other_bottom_ = nullptr;
  std::size_t other_size_ = 0;
  boost::context::fiber other_;  // who entered
  boost::context::fiber self_;   // where to go on; the last member: its end frees the stack
};

}  // namespace lmtpq::mailer

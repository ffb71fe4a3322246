// A fiber: code with a separate stack that the owner enters and that leaves by itself.
//
// Boost.Context switches the stacks. This class also switches what the C++ runtime keeps for each
// thread (exceptions in flight) and tells the sanitizers. Made on any thread, entered by one only;
// must be over when it is destroyed. std::bad_alloc where no stack can be had. The work must not
// throw.
#pragma once

#include <boost/context/fiber.hpp>
#include <functional>
#include <mutex>
#include <vector>

namespace lmtpq::mailer {

// Stacks with a guard page; freed ones are kept for later fibers, up to a limit.
class FiberStacks {
 public:
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  static constexpr std::size_t kSize = 2 * 1024 * 1024;  // the sanitizers use the stack too
#else
  static constexpr std::size_t kSize = 256 * 1024;  // only pages that are used take memory
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

  // Runs the fiber until it leaves or is over.
  void enter();
  // Called by the fiber: returns to the caller of enter().
  void leave();
  bool over() const { return over_; }

 private:
  struct Stack;
  struct Exceptions {  // __cxa_eh_globals of the C++ ABI
    void* caught = nullptr;
    unsigned int uncaught = 0;
  };

  void body();

  std::function<void()> work_;
  bool over_ = false;
  boost::context::stack_context stack_;
  Exceptions exceptions_;
  // The names that the sanitizers have for the two sides.
  void* own_name_ = nullptr;
  void* other_name_ = nullptr;
  void* own_frames_ = nullptr;
  const void* other_bottom_ = nullptr;
  std::size_t other_size_ = 0;
  boost::context::fiber other_;  // the caller of enter()
  boost::context::fiber self_;   // where it goes on; last, since its destructor frees the stack
};

}  // namespace lmtpq::mailer

#include "mailer/serve/fibers/fiber.h"

#include <cxxabi.h>

#include <boost/context/protected_fixedsize_stack.hpp>
#include <cstring>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace lmtpq::mailer {
namespace {

namespace context = boost::context;

constexpr std::size_t kMaxKept = 256;  // stacks

void* new_name() {
#if defined(__SANITIZE_THREAD__)
  return __tsan_create_fiber(0);
#else
  return nullptr;
#endif
}

void forget_name([[maybe_unused]] void* name) {
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(name);
#endif
}

void* present_name() {
#if defined(__SANITIZE_THREAD__)
  return __tsan_get_current_fiber();
#else
  return nullptr;
#endif
}

// ThreadSanitizer counts for each name the functions that are entered and left. A function that is
// entered under one name and left under another makes both counts wrong, so this must be inlined.
[[gnu::always_inline]] inline void change_name([[maybe_unused]] void* name) {
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(name, 0);
#endif
}

// Just before a switch: the stack to switch to, and where AddressSanitizer may note our frames
// (nullptr: we never come back).
void announce([[maybe_unused]] const void* bottom, [[maybe_unused]] std::size_t size,
              [[maybe_unused]] void** frames) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(frames, bottom, size);
#endif
}

// Just after a switch: our frames, and the stack that we come from.
void arrived([[maybe_unused]] void* frames, [[maybe_unused]] const void** bottom,
             [[maybe_unused]] std::size_t* size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(frames, bottom, size);
#endif
}

}  // namespace

FiberStacks::~FiberStacks() {
  for (context::stack_context& stack : free_) {
    context::protected_fixedsize_stack(kSize).deallocate(stack);
  }
}

context::stack_context FiberStacks::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      const context::stack_context stack = free_.back();
      free_.pop_back();
      return stack;
    }
  }
  return context::protected_fixedsize_stack(kSize).allocate();
}

void FiberStacks::give_back(context::stack_context stack) {
  {
    const std::lock_guard lock(mutex_);
    if (free_.size() < kMaxKept) {
      free_.push_back(stack);
      return;
    }
  }
  context::protected_fixedsize_stack(kSize).deallocate(stack);
}

// What Boost.Context frees when the fiber is over.
struct Fiber::Stack {
  FiberStacks* stacks;
  void deallocate(context::stack_context& stack) { stacks->give_back(stack); }
};

Fiber::Fiber(FiberStacks& stacks, std::function<void()> work)
    : work_(std::move(work)), stack_(stacks.take()), own_name_(new_name()) {
  self_ = context::fiber(std::allocator_arg, context::preallocated(stack_.sp, stack_.size, stack_),
                         Stack{&stacks}, [this](context::fiber&& other) {
                           other_ = std::move(other);
                           body();
                           return std::move(other_);
                         });
}

Fiber::~Fiber() { forget_name(own_name_); }

void Fiber::body() {
  arrived(nullptr, &other_bottom_, &other_size_);
  work_();
  work_ = nullptr;
  over_ = true;
  announce(other_bottom_, other_size_, nullptr);  // the name changes after the last function
}

void Fiber::enter() {
  Exceptions others;
  void* const present = abi::__cxa_get_globals();
  std::memcpy(static_cast<void*>(&others), present, sizeof others);
  std::memcpy(present, &exceptions_, sizeof exceptions_);
  other_name_ = present_name();
  void* frames = nullptr;
  announce(static_cast<const char*>(stack_.sp) - stack_.size, stack_.size, &frames);
  change_name(own_name_);
  self_ = std::move(self_).resume();
  if (over_) {
    change_name(other_name_);
  }
  arrived(frames, nullptr, nullptr);
  std::memcpy(static_cast<void*>(&exceptions_), present, sizeof exceptions_);
  std::memcpy(present, &others, sizeof others);
}

void Fiber::leave() {
  announce(other_bottom_, other_size_, &own_frames_);
  change_name(other_name_);
  other_ = std::move(other_).resume();
  arrived(own_frames_, &other_bottom_, &other_size_);
}

}  // namespace lmtpq::mailer

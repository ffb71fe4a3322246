// The limit of this process's descriptors, and what it has used of the processor.
#pragma once

#include <cppunit/extensions/HelperMacros.h>
#include <sys/resource.h>

#include <chrono>

namespace lmtpq {

// As long as it lives, the process opens no descriptor from `most` on.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most) {
    CPPUNIT_ASSERT_EQUAL(0, getrlimit(RLIMIT_NOFILE, &before_));
    const rlimit made{most, before_.rlim_max};
    CPPUNIT_ASSERT_EQUAL(0, setrlimit(RLIMIT_NOFILE, &made));
  }
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit before_{};
};

// Of all threads. Whether they sleep can be seen by it: a loaded machine makes it less, not more.
inline std::chrono::microseconds processor_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto time_of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return time_of(usage.ru_utime) + time_of(usage.ru_stime);
}

}  // namespace lmtpq

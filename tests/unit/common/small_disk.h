// Limits the size of a file that this process can write while the object lives.
#pragma once

#include <cppunit/extensions/HelperMacros.h>
#include <signal.h>
#include <sys/resource.h>

namespace lmtpq {

class SmallDisk {
 public:
  explicit SmallDisk(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{bytes, before_.rlim_max};
    handler_ = signal(SIGXFSZ, SIG_IGN);
    CPPUNIT_ASSERT_EQUAL(0, setrlimit(RLIMIT_FSIZE, &now));
  }
  ~SmallDisk() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

 private:
  rlimit before_{};
  sighandler_t handler_ = SIG_DFL;
};

}  // namespace lmtpq

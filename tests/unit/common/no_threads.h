// As long as it lives, this process can start no thread: new stacks fit in no address space.
#pragma once

#include <cppunit/extensions/HelperMacros.h>
#include <pthread.h>

namespace lmtpq {

class NoThreads {
 public:
  NoThreads() {
    pthread_attr_t huge;
    CPPUNIT_ASSERT_EQUAL(0, pthread_getattr_default_np(&usual_));
    CPPUNIT_ASSERT_EQUAL(0, pthread_getattr_default_np(&huge));
    CPPUNIT_ASSERT_EQUAL(0, pthread_attr_setstacksize(&huge, std::size_t{1} << 46));
    CPPUNIT_ASSERT_EQUAL(0, pthread_setattr_default_np(&huge));
  }
  ~NoThreads() { pthread_setattr_default_np(&usual_); }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;

 private:
  pthread_attr_t usual_{};
};

}  // namespace lmtpq

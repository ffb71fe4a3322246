// Two connected sockets: a descriptor to wait on, and the far end, which sends or closes.
#pragma once

#include <cppunit/extensions/HelperMacros.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/descriptor.h"

namespace lmtpq::mailer {

struct Pair {
  Pair() {
    int ends[2];
    CPPUNIT_ASSERT_EQUAL(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    near = Descriptor(ends[0]);
    far = Descriptor(ends[1]);
  }
  void say() const { CPPUNIT_ASSERT_EQUAL(ssize_t{1}, write(far.number(), "x", 1)); }
  Descriptor near, far;
};

}  // namespace lmtpq::mailer

#include "milter/process/accepting.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "common/config_error.h"
#include "common/descriptor.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr rlim_t kReserve = 16;
constexpr rlim_t kLeast = 32;  // so that half of them is above those that are always open
constexpr int kPause = 200;    // milliseconds
constexpr std::chrono::minutes kBetweenReports{1};

std::function<void(std::size_t limit)> g_report;

// Used by libmilter's listening thread only.
std::optional<Clock::time_point> g_reported;

rlim_t descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

// The kernel gives the lowest number that is free.
bool is_one_free(int any) {
  const lmtpq::Descriptor lowest(dup(any));
  const rlim_t limit = descriptor_limit();
  return lowest.valid() &&
         static_cast<rlim_t>(lowest.number()) < limit - std::min(kReserve, limit / 2);
}

void report() {
  const Clock::time_point now = Clock::now();
  if (g_report && (!g_reported || now - *g_reported >= kBetweenReports)) {
    g_reported = now;
    g_report(descriptor_limit());
  }
}

}  // namespace

// As with sigwait() in signals.cpp, a symbol of the executable overrides that of a library. After
// EINTR libmilter looks whether it is to stop, and comes back.
extern "C" int accept(int listener, sockaddr* address, socklen_t* size) {
  if (is_one_free(listener)) {
    const int taken = accept4(listener, address, size, SOCK_CLOEXEC);
    if (taken >= 0 || (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)) {
      return taken;
    }
  }
  report();
  poll(nullptr, 0, kPause);
  errno = EINTR;
  return -1;
}

namespace lmtpq::milter {

void require_descriptors() {
  const rlim_t limit = descriptor_limit();
  if (limit < kLeast) {
    throw ConfigError("the process may open " + std::to_string(limit) + " files, and needs " +
                      std::to_string(kLeast) +
                      " at least; raise LimitNOFILE= of the unit (ulimit -n)");
  }
}

void on_no_descriptors(std::function<void(std::size_t limit)> report) {
  g_report = std::move(report);
}

}  // namespace lmtpq::milter

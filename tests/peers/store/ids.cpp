#include "ids.h"

#include <sys/random.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace store {
namespace {

std::uint64_t next_count() {
  static std::atomic<std::uint64_t> count{0};
  return ++count;
}

std::string ask_host_name() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

}  // namespace

const std::string& host_name() {
  static const std::string name = ask_host_name();
  return name;
}

std::string new_session_id() {
  std::uint64_t random = 0;
  // Up to 256 bytes come whole or not at all; the count keeps the id unique without them.
  [[maybe_unused]] const auto got = getrandom(&random, sizeof random, 0);
  return host_name().substr(0, 128) + "-" + std::to_string(time(nullptr)) + "-" +
         std::to_string(getpid()) + "-" + std::to_string(next_count()) + "-" +
         std::to_string(random);
}

bool valid_trace_id(std::string_view id) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !id.empty() && id.size() <= kMaxTraceId &&
         id.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::string new_maildir_name() {
  timeval now{};
  gettimeofday(&now, nullptr);
  return std::to_string(now.tv_sec) + ".M" + std::to_string(now.tv_usec) + "P" +
         std::to_string(getpid()) + "Q" + std::to_string(next_count()) + "." + host_name();
}

}  // namespace store

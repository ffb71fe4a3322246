#include "mailer/serve/limits/resource_limits.h"

#include <sys/resource.h>

#include <algorithm>

#include "common/config_error.h"
#include "mailer/serve/limits/cgroup_memory.h"

namespace lmtpq::mailer {
namespace {

constexpr std::uint64_t kDefaultMemory = 512 * 1024 * 1024;
constexpr std::chrono::seconds kBetweenReports{60};
constexpr std::size_t kEachThread = 2;      // epoll(7) and eventfd(2)
constexpr std::size_t kEachConnection = 2;  // while it is dialled, also a name look-up's

// One client, one connection to a store, the log, and what a reload or the metrics open.
constexpr std::size_t kLeast = 20;

// Of a unix socket also its lock and its file.
std::size_t each_socket(bool is_unix) { return is_unix ? 3 : 1; }

std::size_t descriptor_limit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

long long number(std::uint64_t value) { return static_cast<long long>(value); }

}  // namespace

std::uint64_t memory_limit(const ServeSettings& settings) {
  if (settings.memory_limit > 0) {
    return settings.memory_limit;
  }
  const auto group = cgroup_memory_limit();
  return group ? *group / 2 : kDefaultMemory;
}

std::size_t DescriptorNeeds::affordable(std::size_t limit) const {
  return std::max<std::size_t>(1, (limit - std::min(limit, others)) / kEachClient);
}

ResourceLimits::ResourceLimits(const CurrentConfiguration& current, const PoolRegistry& pools,
                               Clients& clients, MemoryBudget& memory, const Log& log)
    : current_(current), pools_(pools), clients_(clients), memory_(memory), log_(log) {}

std::size_t socket_descriptors(const DaemonSettings& settings) {
  const ServeSettings& serve = settings.process.serve;
  std::size_t number = serve.control.empty() ? 0 : each_socket(true);
  if (!serve.metrics.empty()) {
    number += 1 + each_socket(serve.metrics.starts_with("unix:"));  // and libmicrohttpd's copy
  }
  for (const ListenerSettings& listener : settings.listeners) {
    number += each_socket(listener.address.family == Destination::Family::kUnix);
  }
  return number;
}

void require_descriptors(const DaemonSettings& settings) {
  const std::size_t limit = descriptor_limit();
  const std::size_t least =
      kLeast + socket_descriptors(settings) + kEachThread * settings.process.serve.threads;
  if (limit < least) {
    throw ConfigError("the process may open " + std::to_string(limit) + " files, and needs " +
                      std::to_string(least) +
                      " at least; raise LimitNOFILE= of the unit (ulimit -n)");
  }
}

DescriptorNeeds ResourceLimits::needs() const {
  const auto configuration = current_.get();
  const ServeSettings& serve = configuration->settings().process.serve;
  DescriptorNeeds made;
  made.clients = serve.max_clients;
  made.others += socket_descriptors(configuration->settings()) + kEachThread * serve.threads;
  for (const auto& pool : pools_.all()) {
    made.others += kEachConnection * pool->figures().limit;
  }
  return made;
}

void ResourceLimits::take_over() {
  memory_.set_limit(memory_limit(current_.get()->settings().process.serve));
  const DescriptorNeeds now = needs();
  const std::size_t limit = descriptor_limit();
  const std::size_t most = now.affordable(limit);
  clients_.limit_to(most);
  if (now.all() <= limit) {
    return;
  }
  log_.warning(Record("descriptors-few")
                   .add("limit", number(limit))
                   .add("needed", number(now.all()))
                   .add("missing", number(now.all() - limit))
                   .add("effect", "at most " + std::to_string(most) +
                                      " clients are served at a time; others wait")
                   .add("remedy", "set LimitNOFILE= of the unit (ulimit -n) to " +
                                      std::to_string(now.all()) + ", or lower max-clients"));
}

void ResourceLimits::look(Clock::time_point now) {
  clients_.limit_to(needs().affordable(descriptor_limit()));
  const std::uint64_t refused = memory_.refused();
  if (refused == reported_ || now < next_report_) {
    return;
  }
  log_.warning(Record("memory-short")
                   .add("limit", number(memory_.limit()))
                   .add("used", number(memory_.used()))
                   .add("refused", number(refused - reported_))
                   .add("effect", "new messages are deferred with 452 4.3.1")
                   .add("remedy", "raise memory-limit; see whether a store is slow"));
  reported_ = refused;
  next_report_ = now + kBetweenReports;
}

}  // namespace lmtpq::mailer

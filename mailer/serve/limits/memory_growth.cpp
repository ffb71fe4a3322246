#include "mailer/serve/limits/memory_growth.h"

#include <fstream>
#include <string>

namespace lmtpq::mailer {

bool MemoryGrowth::exceeds(std::uint64_t excess, const Rule& rule, Time now) {
  if (rule.most == 0 || excess <= rule.most) {
    since_.reset();
    return false;
  }
  since_ = since_.value_or(now);
  if (now - *since_ < rule.time || now < not_before_) {
    return false;
  }
  not_before_ = now + kPause;
  return true;
}

MemoryGrowth::Rule memory_growth_rule(const ServeSettings& settings, std::uint64_t memory_limit) {
  return {settings.upgrade_memory.value_or(memory_limit / 2), settings.upgrade_memory_time};
}

std::uint64_t anonymous_memory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word && word != "RssAnon:") {
  }
  std::uint64_t kilobytes = 0;
  status >> kilobytes;
  return kilobytes * 1024;
}

}  // namespace lmtpq::mailer

#include "mailer/serve/limits/cgroup_memory.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace lmtpq::mailer {
namespace {

namespace fs = std::filesystem;

// Version 1 has a number near 2^63 in place of no limit.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;

// Version 2 has the word "max" in place of no limit.
std::optional<std::uint64_t> limit_in(const fs::path& file) {
  std::uint64_t bytes = 0;
  if (std::ifstream(file) >> bytes && bytes < kNoLimit) {
    return bytes;
  }
  return {};
}

// In a container the path may be that on the host, while only the top exists.
std::optional<std::uint64_t> lowest_limit(const fs::path& top, const std::string& path,
                                          const char* file) {
  std::optional<std::uint64_t> lowest = limit_in(top / file);
  fs::path folder = top;
  for (const fs::path& part : fs::path(path).relative_path()) {
    folder /= part;
    if (const auto limit = limit_in(folder / file)) {
      lowest = std::min(*limit, lowest.value_or(*limit));
    }
  }
  return lowest;
}

bool lists_memory(const std::string& controllers) {
  return ("," + controllers + ",").find(",memory,") != std::string::npos;
}

}  // namespace

// cgroups(7): lines of ID:CONTROLLERS:PATH; version 2 has no controllers.
std::optional<std::uint64_t> cgroup_memory_limit(const std::string& root) {
  const fs::path mount = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/self/cgroup");
  std::string id;
  std::string controllers;
  std::string path;
  std::optional<std::uint64_t> found;
  while (std::getline(groups, id, ':') && std::getline(groups, controllers, ':') &&
         std::getline(groups, path)) {
    if (lists_memory(controllers)) {
      return lowest_limit(mount / "memory", path, "memory.limit_in_bytes");
    }
    if (controllers.empty()) {
      found = lowest_limit(mount, path, "memory.max");
    }
  }
  return found;
}

}  // namespace lmtpq::mailer

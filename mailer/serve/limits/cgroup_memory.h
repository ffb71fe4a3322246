// The memory that the kernel allows this process: the limit of its cgroup, version 1 or 2, or of
// one above it, whichever is lowest.
//
// systemd's MemoryMax= and containers set it. Used at start and at each reload.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lmtpq::mailer {

// In bytes. Empty: there is no limit, or it cannot be read. `root` is for tests.
std::optional<std::uint64_t> cgroup_memory_limit(const std::string& root = "");

}  // namespace lmtpq::mailer

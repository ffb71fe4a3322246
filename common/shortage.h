// What the system lacks at this moment: room on a disk, memory, descriptors, threads, a name
// server. A start ends with EX_TEMPFAIL for it, and the unit starts again; EX_CONFIG is for what
// only a change fixes. No ConfigError, so at_place() leaves it as it is.
#pragma once

#include <stdexcept>
#include <string>

namespace lmtpq {

struct Shortage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Throws Shortage where errno is of that kind, ConfigError otherwise. `text` has the place, the
// error and perhaps a remedy; that for a shortage is added.
[[noreturn]] void refuse_by_error(int error, const std::string& text);

// For the text of a start that failed by this exception: which is Shortage, or another one that is
// no ConfigError.
std::string shortage_text(const std::exception& error);

}  // namespace lmtpq

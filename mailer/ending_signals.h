// The signals whose default ends a process, and which others may send it: not SIGKILL, which cannot
// be caught, and not those of a bug (SIGSEGV, SIGABRT and the like), which should leave a core
// file.
#pragma once

#include <vector>

namespace lmtpq::mailer {

// Without those that are ignored now: nohup(1) must keep its effect.
std::vector<int> ending_signals();

}  // namespace lmtpq::mailer

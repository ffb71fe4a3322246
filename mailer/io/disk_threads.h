// A few threads for work that waits for the disk, for all fibers of the process.
//
// Few, since a disk that is slow for one is slow for all: work waits in line for a thread, and no
// memory but that of the fiber that waits grows. They are started when they are needed, and never
// end: work that hangs must not keep the process from ending. Not on a fiber, or where no thread
// can be had, the caller does the work itself. The work must not throw.
#pragma once

#include <functional>

namespace lmtpq::mailer {

// Returns when the work is done.
void run_on_disk(const std::function<void()>& work);
// Does not wait for the work, which may be done later.
void leave_to_disk(const std::function<void()>& work) noexcept;

}  // namespace lmtpq::mailer

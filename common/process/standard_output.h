// Whether what a command printed has been written.
#pragma once

namespace lmtpq {

// At the end of a command that exists for its output. The status with which it ends: `status`, or
// EX_IOERR in place of EX_OK where something that it printed could not be written, which is then
// reported on standard error.
int status_of_output(const char* program, int status);

}  // namespace lmtpq

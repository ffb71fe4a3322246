#include "common/process/standard_output.h"

#include <sysexits.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace lmtpq {

int status_of_output(const char* program, int status) {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) {
    return status;
  }
  std::fprintf(stderr, "%s: cannot write to standard output: %s\n", program,
               std::strerror(errno == 0 ? EIO : errno));
  return status == EX_OK ? EX_IOERR : status;
}

}  // namespace lmtpq

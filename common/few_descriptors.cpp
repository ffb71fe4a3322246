#include "common/few_descriptors.h"

#include <cerrno>

namespace lmtpq {

const char* remedy_for_few_descriptors(int error) {
  return error == EMFILE   ? "; raise LimitNOFILE= of the unit (ulimit -n)"
         : error == ENFILE ? "; raise fs.file-max (sysctl)"
                           : "";
}

}  // namespace lmtpq

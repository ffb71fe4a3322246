#include "common/version.h"

namespace lmtpq {

const char* const kVersion = LMTPQ_VERSION;

}  // namespace lmtpq

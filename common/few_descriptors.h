// What to do where the process, or the system, has no descriptor left.
#pragma once

namespace lmtpq {

// For EMFILE and ENFILE "; ...", which follows the text of the error. Empty: any other errno.
const char* remedy_for_few_descriptors(int error);

}  // namespace lmtpq

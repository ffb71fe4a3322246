// Checks the settings of relay, deliver and serve as a start would find them, without mail: the
// files, folders, stores and routes that they name. Dials nothing, makes no file.
//
// The errors and warnings go to the Findings. Used by one thread, in a process that then ends.
#pragma once

#include <cstddef>

#include "common/findings.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {

// As the user that handles the mail. Returns the number of stores.
std::size_t check_settings(const DaemonSettings& settings, Findings& findings);

}  // namespace lmtpq::mailer

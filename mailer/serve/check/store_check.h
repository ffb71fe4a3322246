// Checks what a store needs before it can be dialled: its key and certificate, CAs, password,
// mechanisms, the way to its socket. Dials nothing.
//
// Reads the files as this process does: with root's rights for secrets where only the effective
// user was changed, as Sendmail's F=S does. Used by one thread.
#pragma once

#include <string>

#include "common/findings.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {

// `place` is where the store is named. It has its secrets afterwards.
void check_store(Store& store, const std::string& place, const Settings& process,
                 Findings& findings);

}  // namespace lmtpq::mailer

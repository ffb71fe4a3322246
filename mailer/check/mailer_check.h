// Checks an M line of a sendmail.cf that runs lmtpq, or dials its daemon.
//
// The program is looked at, and its arguments and keys are read, as Sendmail's process would do it:
// as the user of U= with root as the real user, which needs root. The findings begin with
// FILE:LINE. Used by one thread.
#pragma once

#include <vector>

#include "mailer/check/cf_findings.h"
#include "mailer/check/mailer_kind.h"

namespace lmtpq::mailer {

// What lmtpq needs of a mailer of this kind, which is kProgram or kDaemon.
void check_mailer(const CfEntry& mailer, MailerKind kind,
                  const std::vector<DaemonListener>& listeners, CfFindings& findings);

}  // namespace lmtpq::mailer

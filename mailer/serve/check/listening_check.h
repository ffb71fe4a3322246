// Checks the addresses that the daemon listens at: its listeners, the control socket, the metrics.
//
// Looks up the names of listeners, as a start does. Listens nowhere and makes no file. That another
// program listens there is no error, since it may be the running daemon, or systemd for it. The
// errors and warnings go to the Findings. Used by one thread, in a process that then ends.
#pragma once

#include "common/findings.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {

// As the user that opens the sockets of the listeners. Also whether two of all addresses are one.
void check_listening(const DaemonSettings& settings, Findings& findings);
// As the daemon's user, who opens the control socket and the metrics.
void check_own_sockets(const Settings& process, Findings& findings);

}  // namespace lmtpq::mailer

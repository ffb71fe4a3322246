// libmilter's own lines, as event=libmilter in the log of the milter.
//
// libmilter calls syslog(3), which waits as long as syslogd does not read, and anyone who connects
// to the socket and breaks the protocol causes a line. A symbol of the executable overrides that of
// libc, so libmilter calls our function: no line waits, and the same text is written once a minute.
#pragma once

#include "common/log/log.h"

namespace lmtpq::milter {

// From now on lines go to `log`, which must live as long as the process. Before, each goes to
// syslog.
void take_libmilter_lines(const Log& log);

}  // namespace lmtpq::milter

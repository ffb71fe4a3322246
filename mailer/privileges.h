// Whom we run as.
//
// What it is: the one change of identity, complete (real, effective and saved ids, and the groups),
//   before anything from outside is read.
// What it does not know: why; which files the new identity can read.
// Called by: main, once.
// Threads and lifetimes: before any thread.
// Failure: ConfigError with the remedy; nothing has been delivered by then.
// Why: Sendmail's F=S with U= leaves the real uid 0 and root's groups behind (deliver.c).
#pragma once

#include <string>

namespace lmtpq {

// Becomes `user`; when empty and only the effective uid is not root's, becomes that one wholly.
void drop_privileges(const std::string& user);

}  // namespace lmtpq

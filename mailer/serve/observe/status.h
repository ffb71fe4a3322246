// `lmtpq serve --status`: shows what the running daemon does.
//
// What it is: asks the control socket, and shows the answer as a table: on a terminal anew each
//   second, until q or ^C; else once, or as JSON.
// What it does not know: how the daemon knows.
// Called by: main; the table by its test as well.
// Threads and lifetimes: one thread, a process of its own.
// Failure: exit status 69 and one line when no daemon answers there, or nothing that makes sense.
#pragma once

#include <string>

#include "mailer/serve/observe/snapshot.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

// Lines of 80 columns, the last one ended as well.
std::string status_table(const Snapshot& snapshot);

int run_status(const Settings& settings);

}  // namespace lmtpq::mailer

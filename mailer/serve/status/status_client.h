// `lmtpq serve --status`: reads the running daemon's snapshot from the control socket and shows it.
//
// A table; on a terminal it is renewed each second until q or ^C. With --json the snapshot as it
// was sent. Exit status 69 and one line on standard error when no daemon answers.
#pragma once

#include <string>

#include "mailer/serve/status/snapshot.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

int run_status(const Settings& settings);

// The table, in lines of at most 80 columns, each ended by a newline (status_output.cpp).
std::string status_table(const Snapshot& snapshot);

}  // namespace lmtpq::mailer

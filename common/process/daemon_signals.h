// The signals of a daemon, which it blocks first of all: one that comes before the daemon can
// handle it waits, where otherwise it would end the process.
//
// A program that is executed inherits what is blocked. Called before the first thread.
#pragma once

#include <signal.h>

namespace lmtpq {

// SIGHUP, SIGUSR2, SIGTERM, SIGINT.
sigset_t daemon_signals();

// SIGUSR1, which means nothing here, and SIGPIPE are ignored from now on.
void block_daemon_signals();
// For a command that a person started: one that waits has its effect now, and SIGPIPE as well.
void unblock_daemon_signals();

}  // namespace lmtpq

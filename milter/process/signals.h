// SIGHUP reloads; SIGTERM and SIGINT stop. libmilter alone would stop on all three.
//
// A thread of the milter waits for SIGHUP, and a replacement of sigwait(3) keeps SIGHUP from
// libmilter's signal thread. Call block_signals() before the first thread, so that all threads
// inherit the mask. The hangup thread lives as long as the process.
#pragma once

#include <functional>

namespace lmtpq::milter {

void block_signals();

// Calls `on_hangup` after each SIGHUP; a SIGHUP during the call causes one more call. Once
// libmilter was told to stop, calls `on_stop` several times a second: libmilter notices within five
// seconds, or when a client connects. Neither function may throw. Throws std::system_error when no
// thread can be started.
void start_hangup_thread(std::function<void()> on_hangup, std::function<void()> on_stop);

// The signal that told libmilter to stop; 0: none yet.
int stopped_by();

}  // namespace lmtpq::milter

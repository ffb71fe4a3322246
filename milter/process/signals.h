// SIGHUP reloads; SIGTERM and SIGINT stop. libmilter alone would stop on all three.
//
// A thread of the milter waits for SIGHUP, and a replacement of sigwait(3) keeps SIGHUP from
// libmilter's signal thread. Call block_signals() before the first thread, so that all threads
// inherit the mask. The hangup thread lives as long as the process.
#pragma once

#include <functional>

namespace lmtpq::milter {

void block_signals();

// What the hangup thread calls. None may throw.
struct OnSignals {
  std::function<void()> hangup;    // after each SIGHUP; one during the call causes one more call
  std::function<void()> second;    // each second, until libmilter is told to stop
  std::function<void()> stopping;  // then, several times a second: libmilter notices within five
                                   // seconds, or when a client connects
};
// Throws std::system_error when no thread can be started.
void start_hangup_thread(OnSignals calls);

// The signal that told libmilter to stop; 0: none yet.
int stopped_by();

}  // namespace lmtpq::milter

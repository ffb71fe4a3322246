// SIGHUP reloads, SIGTERM and SIGINT stop: libmilter would stop on all three.
//
// What it is: a thread of ours that waits for SIGHUP, and a sigwait() in libc's place that keeps
//   SIGHUP from libmilter's signal thread.
// What it does not know: what is done on a signal.
// Called by: main; sigwait() by libmilter.
// Threads and lifetimes: block_signals() before the first thread, so that all of them inherit it;
//   the hangup thread lives as long as the process.
// Failure: std::system_error when there can be no thread. Both functions given must not throw.
#pragma once

#include <functional>

namespace lmtpq::milter {

void block_signals();
// `on_hangup` after every SIGHUP: one that comes while it runs makes it run once more. `on_stop`
// over and over, some times a second, once libmilter was told to stop: it looks up only every five
// seconds unless somebody connects.
void start_hangup_thread(std::function<void()> on_hangup, std::function<void()> on_stop);
// The signal that libmilter was told to stop by; 0: none.
int stopped_by();

}  // namespace lmtpq::milter

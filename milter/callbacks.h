// The C boundary to libmilter.
//
// What it is: registration, negotiation, the callbacks with one wrapper around each, per-connection
//   state. No libmilter type is seen anywhere else.
// What it does not know: policy, tags.
// Called by: main; then libmilter, from threads of its choice: of one connection never two at a
//   time, but each callback maybe on another thread.
// Threads and lifetimes: the Service outlives serve(), and must not end before the process does:
//   libmilter leaves its threads behind.
// Failure: open_socket() throws ConfigError. No exception leaves a callback: it is logged, and the
//   message gets the configured FailureAction at its end. Any order of callbacks, NULL arguments
//   and missing macros are survived: what is not known is empty.
#pragma once

#include <string>

#include "milter/service.h"

namespace lmtpq::milter {

// Registers, and listens on `socket` ("unix:PATH", "inet:PORT@HOST"); a stale socket is replaced.
void open_socket(const std::string& socket);
// Removes the socket's file, as serve() does at its end.
void remove_socket();
// Serves until told to stop (SIGTERM, SIGINT), and until no callback runs any more. False:
// libmilter gave up.
bool serve(Service& service);

}  // namespace lmtpq::milter

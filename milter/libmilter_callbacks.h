// libmilter's side of the milter: registration, negotiation, and the callbacks.
//
// libmilter calls from threads of its choice: never two at a time for one connection, but each
// callback maybe on another thread. No exception leaves a callback: it is logged, and the message
// gets the configured FailureAction at its end. Callbacks in any order, NULL arguments and missing
// macros are handled; what is not known is empty.
#pragma once

#include <string>

#include "milter/shared_state.h"

namespace lmtpq::milter {

// Registers, and listens on a socket as Listener::libmilters_name() has it. Throws ConfigError.
void open_socket(const std::string& name_of_socket);

// Of the library that was loaded: "1.0.1".
std::string libmilter_version();

// Serves until SIGTERM or SIGINT and until no callback runs. false: libmilter failed. `state` must
// live until the process ends: libmilter leaves its threads running.
bool run_libmilter(SharedState& state);

}  // namespace lmtpq::milter

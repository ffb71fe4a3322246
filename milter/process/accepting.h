// libmilter's accept(2), for a process that has no free descriptors.
//
// libmilter takes each failure of accept() for one of the socket: it gives up after five, and the
// milter ends. This program's accept() waits instead, and the MTA's new sessions wait in the
// socket's queue. A few descriptors stay free for the log and for a reload.
#pragma once

#include <cstddef>
#include <functional>

namespace lmtpq::milter {

// Throws ConfigError where the process may open too few files to serve one session.
void require_descriptors();

// Called before libmilter runs. `report` gets the limit when there are no free descriptors, at most
// once a minute, on libmilter's thread.
void on_no_descriptors(std::function<void(std::size_t limit)> report);

}  // namespace lmtpq::milter

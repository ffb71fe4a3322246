// Plays a dialogue against the program: two pipes for the MTA, a listening socket for each
// destination.
//
// Starts lmtpq, carries the peers' bytes in one poll(2) loop, and takes its exit status. One call
// plays one dialogue and reaps the process; several threads may play different ones. Failures are
// in Played::failure; a dialogue that takes longer than kLongest is killed and has failed.
#pragma once

#include <chrono>

#include "tests/dialogues/cast.h"

namespace dialogues {

inline constexpr std::chrono::seconds kLongest{15};

Played play_binary(const Script& script, Cast& cast, const std::string& lmtpq);

}  // namespace dialogues

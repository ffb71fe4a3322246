// Plays a dialogue against the program: two pipes for the MTA, a listening socket per destination.
//
// What it is: posix_spawn(3), one poll(2) loop that carries the peers' bytes, the exit status.
// What it does not know: what a step means (peer), what is right (verdict).
// Called by: main, from several threads, each with its own dialogue.
// Threads and lifetimes: one call plays one dialogue and reaps its process.
// Failure: Played::failure; a dialogue that takes more than kLongest is killed and has failed.
#pragma once

#include <chrono>

#include "tests/dialogues/cast.h"

namespace dialogues {

inline constexpr std::chrono::seconds kLongest{15};

Played play_binary(const Script& script, Cast& cast, const std::string& lmtpq);

}  // namespace dialogues

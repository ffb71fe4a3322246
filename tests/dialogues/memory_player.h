// Plays a dialogue against the mailer's classes: Session and Delivery on scripted channels.
//
// What it is: a Channel for every peer and a Dialer, without sockets and without waiting: when no
//   peer can go on and the one that lmtpq listens to is stalled, its time is up at once.
// What it does not know: what a step means (peer), what is right (verdict).
// Called by: main.
// Threads and lifetimes: one dialogue a call; several threads may play different ones.
// Failure: Played::failure.
#pragma once

#include "tests/dialogues/cast.h"

namespace dialogues {

Played play_in_memory(const Script& script, Cast& cast);

}  // namespace dialogues

// Plays a dialogue against the mailer's classes: LmtpSession and Delivery on scripted channels.
//
// There are no sockets and no waits: when no peer can go on and the one that lmtpq reads from is
// stalled, its deadline has passed at once. Several threads may play different dialogues. Failures
// are in Played::failure.
#pragma once

#include "tests/dialogues/cast.h"

namespace dialogues {

Played play_in_memory(const Script& script, Cast& cast);

}  // namespace dialogues

// `lmtpq-milter --explain`: what would be decided for one message, and why.
//
// What it is: the message's facts from the command line and standard input, the same road as
//   Message::decide() without edits and without counting, and its words for a human.
// What it does not know: libmilter; what Sendmail makes of a recipient. It takes each for one of a
//   mailer that reads tags.
// Called by: main.
// Threads and lifetimes: one thread, once.
// Failure: ConfigError for options that make no sense. Without keys it says so, and goes on.
#pragma once

#include <cstdint>
#include <iosfwd>

#include "milter/settings.h"

namespace lmtpq::milter {

void explain(const Loaded& loaded, std::istream& message, std::ostream& out, std::int64_t now);

}  // namespace lmtpq::milter

// Why a recipient's mail was deferred or refused, as one of a few words.
//
// What it is: the closed set of reasons, and the one that an outcome has: our trouble, if it was
//   ours, else what the store's enhanced status code is about (RFC 3463).
// What it does not know: counters, texts of replies.
// Called by: the tallies, once an outcome.
// Threads and lifetimes: pure functions.
// Failure: none; what fits nowhere is "unspecified".
#pragma once

#include <cstddef>
#include <string>

#include "mailer/message/outcome.h"

namespace lmtpq::mailer {

// An index below reason_count().
std::size_t reason_of(const Outcome& outcome);
std::size_t reason_count();
std::string reason_name(std::size_t reason);

// A word of a log line as the value of a label: with _ for blanks and hyphens.
std::string label_value(std::string_view word);

}  // namespace lmtpq::mailer

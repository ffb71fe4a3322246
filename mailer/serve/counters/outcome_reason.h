// Why a recipient was deferred or refused, as one value of a closed set: the metrics' label
// `reason`.
//
// Our own trouble, if it was ours; a full mailbox (over_quota.h); otherwise the subject of the
// enhanced status code (RFC 3463); "unspecified" without one.
#pragma once

#include <cstddef>
#include <string>

#include "mailer/message/outcome.h"

namespace lmtpq::mailer {

// An index below reason_count().
std::size_t reason_of(const Outcome& outcome);
std::size_t reason_count();
std::string reason_name(std::size_t reason);

// A name of the log as a label's value: with _ for blanks and hyphens.
std::string label_value(std::string_view name);

}  // namespace lmtpq::mailer

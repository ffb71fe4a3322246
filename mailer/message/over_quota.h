// Refusals because the mailbox is over quota: which replies of a store they are, and what an
// over-quota policy makes of them. Pure functions.
//
// outcome_of() asks over_quota() about the replies that can be about a mailbox, and keeps the
// answer in Outcome::full; everything else (policies, --ignore-quota=retry, probe, metrics) reads
// it there.
#pragma once

#include <chrono>

#include "common/tag/over_quota_policy.h"
#include "mailer/message/outcome.h"

namespace lmtpq::mailer {

// By the enhanced code X.2.2 (RFC 3463 section 3.3), whatever the code before it. Where the store
// sends no enhanced code, by the text without the addresses in it: a plain 452 is as often a full
// disk, or too many recipients, and a plain 552 a message that is too large.
bool over_quota(const Reply& reply);
bool over_quota(const EnhancedStatus& status);

// The outcome for a recipient whose mailbox is full. The text stays the store's. `age` is the
// message's.
Outcome apply(const OverQuotaPolicy& policy, std::chrono::seconds age, Outcome refusal);

}  // namespace lmtpq::mailer

// Refusals because the mailbox is over quota: which replies of a store they are, and what an
// over-quota policy makes of them. Pure functions.
#pragma once

#include <chrono>

#include "common/tag/over_quota_policy.h"
#include "mailer/message/outcome.h"

namespace lmtpq::mailer {

// By the enhanced code X.2.2 (RFC 3463 section 3.3), whatever the code before it. Where the store
// sends no enhanced code, by the text: a plain 452 is as often a full disk, or too many recipients,
// and a plain 552 a message that is too large.
bool over_quota(const Reply& reply);
// The same for a reply to RCPT, to DATA, or after end of data; never one that has another meaning
// for outcome_of(): a 421, a missing login, a protocol error.
bool over_quota(const Answer& answer);

// The outcome for a recipient with an over_quota() answer. The text stays the store's. `age` is the
// message's.
Outcome apply(const OverQuotaPolicy& policy, std::chrono::seconds age, Outcome refusal);

}  // namespace lmtpq::mailer

#include "mailer/message/over_quota.h"

#include <algorithm>
#include <array>

#include "common/ascii.h"

namespace lmtpq::mailer {
namespace {

// In lower case. The word quota alone is not enough: "quota server unavailable".
constexpr std::array<std::string_view, 14> kPhrases{{
    "over quota", "over-quota", "overquota", "over its quota", "over the quota", "quota exceeded",
    "exceeded quota", "exceeds quota", "exceed quota", "quota is exceeded", "exceeded its quota",
    "mailbox full", "mailbox is full",
    "exceed maximum mailbox size",  // GNU Mailutils
}};

bool says_over_quota(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), ascii_lower);
  return std::any_of(kPhrases.begin(), kPhrases.end(),
                     [&](std::string_view phrase) { return text.find(phrase) != text.npos; });
}

}  // namespace

bool over_quota(const Reply& reply) {
  if (!reply.negative()) {
    return false;
  }
  return reply.status ? reply.status->subject == 2 && reply.status->detail == 2
                      : says_over_quota(reply.text());
}

bool over_quota(const Answer& answer) {
  const bool about_the_mailbox = answer.stage == Awaited::kRcpt || answer.stage == Awaited::kData ||
                                 answer.stage == Awaited::kFinal;
  return about_the_mailbox && answer.reply.code != 421 && over_quota(answer.reply) &&
         !outcome_of(answer).trouble;
}

Outcome apply(const OverQuotaPolicy& policy, std::chrono::seconds age, Outcome refusal) {
  if (policy.action == OverQuotaAction::kStore) {
    return refusal;
  }
  const bool refuse =
      policy.action == OverQuotaAction::kRefuse || (policy.age.count() > 0 && age >= policy.age);
  refusal.fate = refuse ? Fate::kPermanent : Fate::kTemporary;
  // Sendmail bounces mail for a 55x and keeps it for a 452.
  refusal.code = refuse ? 552 : 452;
  refusal.status = {refuse ? 5 : 4, 2, 2};
  refusal.over_quota = refuse ? OverQuotaAction::kRefuse : OverQuotaAction::kDefer;
  return refusal;
}

}  // namespace lmtpq::mailer

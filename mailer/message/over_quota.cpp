#include "mailer/message/over_quota.h"

#include <algorithm>
#include <array>

#include "common/ascii.h"

namespace lmtpq::mailer {
namespace {

// The word quota alone is not enough: "quota server unavailable".
constexpr std::array<std::string_view, 14> kPhrases{{
    "over quota", "over-quota", "overquota", "over its quota", "over the quota", "quota exceeded",
    "exceeded quota", "exceeds quota", "exceed quota", "quota is exceeded", "exceeded its quota",
    "mailbox full", "mailbox is full",
    "exceed maximum mailbox size",  // GNU Mailutils
}};

// The end of the quoted string (RFC 5321 section 4.1.2) or of the character that begins at `at`.
std::size_t end_of_part(std::string_view text, std::size_t at) {
  if (text[at] != '"') {
    return at + 1;
  }
  for (std::size_t end = at + 1; end < text.size(); ++end) {
    if (text[end] == '"') {
      return end + 1;
    }
    end += text[end] == '\\' ? 1 : 0;
  }
  return at + 1;
}

// After the '>' of a path. A path without one, in a text that was cut, has no end.
std::size_t end_of_path(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] != '>') {
    at = end_of_part(text, at);
  }
  return std::min(at + 1, text.size());
}

// Without paths, and without words that have an @. Stores repeat the recipient's address, which may
// be <over quota@example.org>.
std::string without_addresses(std::string_view text) {
  std::string left;
  std::size_t word = 0;  // where the current one begins in `left`
  bool address = false;
  for (std::size_t at = 0; at < text.size();) {
    const bool path = text[at] == '<';
    const std::size_t end = path ? end_of_path(text, at) : end_of_part(text, at);
    const std::string_view part = path ? "<>" : text.substr(at, end - at);
    at = end;
    address = address || part.find('@') != part.npos;
    left += part;
    if (part == " " || at == text.size()) {
      if (address) {
        left.replace(word, left.npos, "<> ");
      }
      word = left.size();
      address = false;
    }
  }
  return left;
}

bool says_over_quota(std::string_view text) {
  const std::string words = without_addresses(text);
  return std::any_of(kPhrases.begin(), kPhrases.end(),
                     [&](std::string_view phrase) { return has_phrase(words, phrase); });
}

}  // namespace

bool over_quota(const EnhancedStatus& status) { return status.subject == 2 && status.detail == 2; }

bool over_quota(const Reply& reply) {
  return reply.negative() &&
         (reply.status ? over_quota(*reply.status) : says_over_quota(capped(reply.text())));
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

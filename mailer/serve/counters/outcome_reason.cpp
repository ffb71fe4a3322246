#include "mailer/serve/counters/outcome_reason.h"

#include <algorithm>
#include <iterator>

namespace lmtpq::mailer {
namespace {

constexpr const char* kStoreReasons[] = {"unspecified", "sender", "user_unknown", "over_quota",
                                         "mailbox",     "system", "network",      "protocol",
                                         "content",     "policy"};
constexpr std::size_t kStoreReasonCount = std::size(kStoreReasons);

constexpr std::size_t index_of(Trouble trouble) {
  return kStoreReasonCount + static_cast<std::size_t>(trouble);
}

constexpr std::size_t index_of(std::string_view name) {
  std::size_t index = 0;
  while (name != kStoreReasons[index]) {
    ++index;
  }
  return index;
}

constexpr int kAny = -1;

struct Row {
  int subject;
  int detail;
  std::size_t reason;
};

// RFC 3463 section 3; the first matching row applies.
constexpr Row kRows[] = {
    {1, 7, index_of("sender")},          {1, 8, index_of("sender")},
    {1, kAny, index_of("user_unknown")}, {2, 3, index_of(Trouble::kTooLarge)},
    {2, kAny, index_of("mailbox")},      {3, 4, index_of(Trouble::kTooLarge)},
    {3, kAny, index_of("system")},       {4, kAny, index_of("network")},
    {5, kAny, index_of("protocol")},     {6, kAny, index_of("content")},
    {7, kAny, index_of("policy")},
};

}  // namespace

std::size_t reason_of(const Outcome& outcome) {
  if (outcome.trouble) {
    return index_of(*outcome.trouble);
  }
  if (outcome.full) {
    return index_of("over_quota");
  }
  const auto* const row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) {
    return r.subject == outcome.status.subject &&
           (r.detail == kAny || r.detail == outcome.status.detail);
  });
  return row == std::end(kRows) ? 0 : row->reason;
}

std::size_t reason_count() { return kStoreReasonCount + std::size(kTroubleNames); }

std::string reason_name(std::size_t reason) {
  return reason < kStoreReasonCount ? kStoreReasons[reason]
                                    : label_value(kTroubleNames[reason - kStoreReasonCount]);
}

std::string label_value(std::string_view name) {
  std::string made(name);
  std::replace_if(
      made.begin(), made.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
  return made;
}

}  // namespace lmtpq::mailer

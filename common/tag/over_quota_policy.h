// What becomes of mail that a store refuses because the mailbox is over quota: an option of the
// mailer, a key of the milter's rules, and a field of the tag that goes from one to the other.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace lmtpq {

enum class OverQuotaAction {
  kStore,   // the store's reply stands
  kDefer,   // 452 4.2.2
  kRefuse,  // 552 5.2.2
};

struct OverQuotaPolicy {
  OverQuotaAction action = OverQuotaAction::kStore;
  // Of kDefer: a message of this age is refused. 0: none is.
  std::chrono::seconds age{0};

  bool operator==(const OverQuotaPolicy&) const = default;

  // "store", "defer", "defer:AGE" or "refuse"; throws ConfigError.
  static OverQuotaPolicy parse(std::string_view text);
  // The same text, its age in the largest unit that fits: "defer:3d".
  std::string text() const;

  // As in a tag: "s", "d", "d259200" or "r". There is one text for each policy. nullopt: none of
  // these.
  static std::optional<OverQuotaPolicy> decode(std::string_view code);
  std::string code() const;
};

}  // namespace lmtpq

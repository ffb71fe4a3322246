// The signed tag with which the milter passes its decision to the mailer (format: docs/TAG.md).
//
// sign_tag() writes the value of an X-LMTPQ-Tag field; Tag::verify() checks one. Pure functions. A
// Tag refers to its key, so the keyring must outlive it. Verifying takes time in proportion to the
// tag's length, which is kMaxTagLength at most.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/tag/keyring.h"
#include "common/tag/over_quota_policy.h"
#include "common/tag/trace_id.h"

namespace lmtpq {

inline constexpr std::string_view kTagName = "X-LMTPQ-Tag";
inline constexpr std::size_t kMaxTagLength = 32 * 1024;  // of a field's value, folds included
inline constexpr std::size_t kMaxListed = 1000;          // recipients whose quota is ignored
inline constexpr std::size_t kMaxLists = 30'000;         // bytes of both lists, without folds

// The recipients whose mail is delivered even if the mailbox is over quota.
enum class QuotaScope { kNobody, kListed, kEverybody };

enum class TagFault { kMalformed, kUnknownKey, kBadMac, kExpired, kWrongMessage, kTwoTags };
inline constexpr const char* kTagFaultNames[] = {"malformed", "unknown key",   "bad mac",
                                                 "expired",   "wrong message", "two tags"};

// The contents of a tag.
struct TagClaims {
  // A recipient as the client gave it, and as Sendmail resolved it ({rcpt_addr}), which the mailer
  // will see.
  struct Recipient {
    std::string given;
    std::string resolved;
  };
  // Recipients with the same over-quota policy.
  struct PolicyGroup {
    OverQuotaPolicy policy;
    std::vector<Recipient> members;
  };
  TraceId trace;
  QuotaScope quota = QuotaScope::kNobody;
  std::vector<Recipient> listed;  // for kListed; at most kMaxListed
  // Everybody's policy, or that of some recipients; for the others the mailer's options decide.
  std::optional<OverQuotaPolicy> over_quota;
  std::vector<PolicyGroup> over_quota_groups;
  std::int64_t expiry = 0;  // Unix time
  std::string message_id;   // value of the Message-ID field; empty: none
  std::string queue_id;     // empty: the tag is not bound to it

  // Adds to `over_quota_groups`, after `listed` is complete. False: the tag has no room left.
  bool list_over_quota(const OverQuotaPolicy& policy, Recipient recipient);
};

// The message in which the mailer found a tag.
struct TaggedMessage {
  std::string_view message_id;  // of its first Message-ID field; empty: none
  std::string_view queue_id;    // of its topmost Received field; empty: none
};

// The form in which addresses are compared: no brackets, quotes or backslashes, lower case. Compare
// only these when deciding about tags: otherwise a quoted address would escape the rule for its
// plain form.
std::string comparable_address(std::string_view address);

// The field's value, folded with LF TAB.
std::string sign_tag(const TagClaims& claims, const Key& key);

// The key id in a tag that is perhaps invalid, for the log; empty: none found.
std::string claimed_key(std::string_view value);

class Tag {
 public:
  static std::variant<Tag, TagFault> verify(std::string_view value, const Keyring& keys,
                                            const TaggedMessage& message, std::int64_t now);

  const TraceId& trace() const { return trace_; }
  const std::string& key_id() const { return key_->id(); }
  QuotaScope quota() const { return quota_; }
  bool ignores_quota(std::string_view address) const;
  // nullopt: the tag says nothing about this recipient.
  std::optional<OverQuotaPolicy> over_quota(std::string_view address) const;

 private:
  using ListedPolicy = std::pair<std::string, OverQuotaPolicy>;  // digest first

  Tag() = default;
  bool read_over_quota(std::string_view field);  // false: malformed

  const Key* key_ = nullptr;
  TraceId trace_;
  QuotaScope quota_ = QuotaScope::kNobody;
  std::vector<std::string> listed_;  // digests, sorted
  std::optional<OverQuotaPolicy> over_quota_;
  std::vector<ListedPolicy> over_quota_listed_;  // sorted by digest
};

}  // namespace lmtpq

// The signed tag by which the milter tells the mailer what it decided (docs/TAG.md has the bytes).
//
// What it is: sign_tag() writes the value of an X-LMTPQ-Tag field, Tag::verify() reads one and says
//   whether it is to be believed.
// What it does not know: headers, who asks, which of several tags counts, the clock.
// Called by: the milter signs, the mailer verifies.
// Threads and lifetimes: pure functions. A Tag keeps a reference to its key: the keyring outlives
//   it.
// Failure: verify() returns the TagFault. A tag from outside takes time in proportion to its
//   length, which is kMaxTagLength at most.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/tag/keyring.h"
#include "common/tag/trace_id.h"

namespace lmtpq {

inline constexpr std::string_view kTagName = "X-LMTPQ-Tag";
inline constexpr std::size_t kMaxTagLength = 32 * 1024;  // of a field's value, folds included
inline constexpr std::size_t kMaxListed = 1000;          // recipients in a list

// Which recipients' mail is filed although the mailbox is over quota.
enum class QuotaScope { kNobody, kListed, kEverybody };

enum class TagFault { kMalformed, kUnknownKey, kBadMac, kExpired, kWrongMessage, kTwoTags };
inline constexpr const char* kTagFaultNames[] = {"malformed", "unknown key",   "bad mac",
                                                 "expired",   "wrong message", "two tags"};

// What a tag is to say.
struct TagClaims {
  // A recipient under both of its names: as the client gave it, and as Sendmail resolved it
  // ({rcpt_addr}), which is what the mailer will see.
  struct Recipient {
    std::string given;
    std::string resolved;
  };
  TraceId trace;
  QuotaScope quota = QuotaScope::kNobody;
  std::vector<Recipient> listed;  // for kListed; no more than kMaxListed
  std::int64_t expiry = 0;        // Unix time
  std::string message_id;         // the Message-ID field's value; empty: there is none
  std::string queue_id;           // empty: the tag is not bound to it
};

// What the mailer knows of the message that a tag stands in.
struct TaggedMessage {
  std::string_view message_id;  // of its first Message-ID field; empty: none
  std::string_view queue_id;    // of its topmost Received field; empty: none
};

// One text for all the ways in which Sendmail and its clients write one address: no brackets, no
// quotes or backslashes, small letters. Who compares addresses to decide about tags compares these,
// or a quoted twin would pass by what was decided for its plain form.
std::string comparable_address(std::string_view address);

// The field's value, folded with LF TAB.
std::string sign_tag(const TagClaims& claims, const Key& key);

// The key that a tag says it is signed with, believed or not, for the log; empty: none to be seen.
std::string claimed_key(std::string_view value);

class Tag {
 public:
  static std::variant<Tag, TagFault> verify(std::string_view value, const Keyring& keys,
                                            const TaggedMessage& message, std::int64_t now);

  const TraceId& trace() const { return trace_; }
  const std::string& key_id() const { return key_->id(); }
  QuotaScope quota() const { return quota_; }
  bool ignores_quota(std::string_view address) const;

 private:
  Tag() = default;

  const Key* key_ = nullptr;
  TraceId trace_;
  QuotaScope quota_ = QuotaScope::kNobody;
  std::vector<std::string> listed_;  // digests, sorted
};

}  // namespace lmtpq

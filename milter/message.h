// One message: collects its facts, decides at its end, writes the tag, and logs the decision.
//
// Used by the callbacks, one object from MAIL to the end of the message or its abort, by one thread
// at a time. Exceptions (out of memory) pass through to the callback. Memory is bounded by the
// limits below; what exceeds them never opens a quota: with a field unknown, no rule can be
// trusted to be the first that matches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "milter/header_edits.h"
#include "milter/policy/message_facts.h"
#include "milter/shared_state.h"

namespace lmtpq::milter {

class Message {
 public:
  static constexpr std::size_t kMaxRecipients = 20'000;
  static constexpr std::size_t kMaxAddresses = 4 * 1024 * 1024;  // bytes of all recipients
  static constexpr std::size_t kMaxField = 8 * 1024;             // bytes of a field in demand
  static constexpr std::size_t kMaxKept = 256 * 1024;            // bytes of all such fields

  // `facts` are those of MAIL: client, sender as written there, auth, tls_subject, queue_id, and
  // the size that the client declared.
  Message(ConfigurationPtr configuration, MessageFacts facts);

  void take_recipient(RecipientFacts recipient);  // `given` as written in RCPT
  // Fields in the message's order, values still folded. A tag is counted before anything can fail.
  void take_field(std::string_view name, std::string_view value);
  // Known at the end of the message; empty leaves the earlier value.
  void take_queue_id(std::string_view queue_id);
  void take_size(std::optional<std::uint64_t> size);

  // The policy's verdict within the limits above. `limiter` nullptr: nothing is counted.
  Verdict judge(Limiter* limiter, Limiter::Time now) const;

  // The end of the message: removes the tags that came with it, writes the new one, logs one line.
  // `now` is Unix time, `monotonic` the limits' clock. false: the MTA did not take the edits.
  bool decide(SharedState& state, HeaderEdits& edits, std::int64_t now, Limiter::Time monotonic);
  // The first step of decide(), for a message whose decision failed. May be repeated.
  bool remove_old_tags(HeaderEdits& edits) const;

  const Configuration& configuration() const { return *configuration_; }
  const MessageFacts& facts() const { return facts_; }
  long long recipients() const { return recipients_; }  // facts() has kMaxRecipients at most
  int old_tags() const { return old_tags_; }            // that came with the message
  // Whether a field that a rule or the trace id needs exceeded a limit, so that no quota is
  // ignored.
  bool incomplete() const { return dropped_fields_ > 0; }

 private:
  bool wants(std::string_view name) const;  // whether a rule or the trace id needs this field

  ConfigurationPtr configuration_;
  MessageFacts facts_;
  std::size_t kept_ = 0;
  std::size_t addresses_ = 0;     // bytes
  long long recipients_ = 0;      // kept or not
  long long dropped_fields_ = 0;  // needed, but over a limit
  bool message_id_seen_ = false;
  int old_tags_ = 0;
};

// Why a message has no tag although it should get one.
inline constexpr const char* kNoEdits = "the MTA took no edits";
// Why the message gets no tag; nullptr: it gets one.
const char* no_tag(const Configuration& configuration, const MessageFacts& facts,
                   const Verdict& verdict);
// The contents of the tag for a verdict; shared with --explain.
TagClaims claims_for(const Configuration& configuration, const MessageFacts& facts,
                     const Verdict& verdict, const TraceId& trace, std::int64_t now);

}  // namespace lmtpq::milter

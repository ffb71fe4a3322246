// One message on its way through the milter: facts are gathered, and at its end it is decided.
//
// What it is: the road MessageFacts -> Verdict -> tag -> Edits, and the log line of the message.
// What it does not know: libmilter; which callback is running.
// Called by: callbacks, one object from MAIL to the end of the message or its abort; --explain uses
//   decide()'s parts.
// Threads and lifetimes: one thread at a time, not always the same one.
// Failure: exceptions pass through (no memory); the callback's wrapper turns them into the failure
//   action. Memory is bounded: kMaxRecipients of kMaxAddresses bytes together (and none that is
//   longer than any mailbox), kMaxField bytes of each field that is asked for, kMaxKept of all
//   together. What is beyond a bound never opens a quota: with a field that is not known no rule
//   can be trusted to be the first that matches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "milter/edits.h"
#include "milter/policy/facts.h"
#include "milter/service.h"

namespace lmtpq::milter {

class Message {
 public:
  static constexpr std::size_t kMaxRecipients = 20'000;
  static constexpr std::size_t kMaxAddresses = 4 * 1024 * 1024;
  static constexpr std::size_t kMaxField = 8 * 1024;
  static constexpr std::size_t kMaxKept = 256 * 1024;

  // `facts` has what MAIL told: client, sender (as it stands there), auth, tls_subject, queue_id,
  // and the size as the client declared it.
  Message(ConfigurationPtr configuration, MessageFacts facts);

  void take_recipient(RecipientFacts recipient);  // `given` as it stands in RCPT
  // Fields in the message's order, values still folded. A tag is counted before anything can fail.
  void take_field(std::string_view name, std::string_view value);
  // What only the end of the message tells; nothing where it tells nothing new.
  void take_queue_id(std::string_view queue_id);
  void take_size(std::optional<std::uint64_t> size);

  // The policy's verdict within the bounds above. `limiter` nullptr: nothing is counted.
  Verdict judge(Limiter* limiter, Limiter::Time now) const;

  // The end of the message: removes the tags that came with it, writes ours, logs one line. `now`
  // is Unix time, `monotonic` the limits' clock. False: the MTA did not take the edits.
  bool decide(Service& service, Edits& edits, std::int64_t now, Limiter::Time monotonic);
  // Removes the tags that came with the message; part of decide(), and what is left to do where
  // that failed. Once is enough, twice does no harm.
  bool remove_old_tags(Edits& edits) const;

  const Configuration& configuration() const { return *configuration_; }
  const MessageFacts& facts() const { return facts_; }
  int old_tags() const { return old_tags_; }
  // Whether a field that somebody asks for was beyond a bound, and so no quota is ignored.
  bool incomplete() const { return dropped_fields_ > 0; }

 private:
  struct Tagging {
    const char* missing;  // why there is to be no tag; nullptr: there is
    bool done = false;
    long long unlisted = 0;  // recipients for whom the list had no room
  };
  bool wants(std::string_view name) const;  // whether a rule or the trace id asks for this field
  void log_decision(const Log& log, const Verdict& verdict, const TraceId& trace,
                    const Tagging& tagging) const;

  ConfigurationPtr configuration_;
  MessageFacts facts_;
  std::size_t kept_ = 0;
  std::size_t addresses_ = 0;     // bytes of them
  long long recipients_ = 0;      // all that came
  long long dropped_fields_ = 0;  // that somebody asked for, beyond a bound
  bool message_id_seen_ = false;
  int old_tags_ = 0;  // that came with the message
};

// Why a message gets no tag; nullptr: it gets one.
const char* no_tag(const Configuration& configuration, const MessageFacts& facts,
                   const Verdict& verdict);
// What the tag says for a verdict; shared with --explain.
TagClaims claims_for(const Configuration& configuration, const MessageFacts& facts,
                     const Verdict& verdict, const TraceId& trace, std::int64_t now);

}  // namespace lmtpq::milter

// What becomes of each recipient: the one place that decides it.
//
// What it is: the table from a store's answer, or from trouble of our own, to the reply that the
//   MTA gets and the sysexits status that a script gets.
// What it does not know: connections, retries, the message.
// Called by: delivery makes outcomes; the fronts print them.
// Threads and lifetimes: values and pure functions.
// Failure: none.
// Rules: RFC 5321 section 4.2, RFC 3463. What Sendmail does with a reply after the dot
//   (usersmtp.c, smtpgetstat): 55x bounces, any other 5xx becomes "Remote protocol error", 421
//   throws away all later replies. So permanent is always 55x, 421 is never said, and our own
//   trouble, a refused login, or a store that talks nonsense is always temporary.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/tag/trace_id.h"
#include "mailer/lmtp/lmtp_client.h"
#include "mailer/lmtp/reply.h"

namespace lmtpq::mailer {

enum class Fate { kDelivered, kTemporary, kPermanent };
inline constexpr const char* kFateNames[] = {"sent", "deferred", "refused"};

enum class Trouble {
  kUnreachable,    // no destination took the connection, or greeted us well
  kTls,            // no TLS as the level demands it
  kLogin,          // the store does not let us in
  kBusy,           // too much is under way: no connection came free, nor the mailbox's turn
  kLost,           // the connection died, or time was up, before the dot
  kUncertain,      // the same after the dot: the store may have filed the message
  kNonsense,       // the store's answers make no sense
  kSpool,          // our disk
  kConfiguration,  // our settings
  kUnrouted,       // the map that knows the recipient's store cannot be asked, or makes no sense
  kInternal,       // memory, or a defect of ours
  kTooLarge,       // over a size limit, ours or the store's
  kNeedsUtf8,      // the store has no SMTPUTF8 and an address or the header needs it
  kBadAddress,     // what argv named is no address
};

inline constexpr const char* kTroubleNames[] = {
    "unreachable", "tls",       "login",      "busy",          "lost",
    "uncertain",   "nonsense",  "spool",      "configuration", "unrouted",
    "internal",    "too-large", "needs-utf8", "bad-address"};

struct Outcome {
  Fate fate = Fate::kTemporary;
  int code = 451;
  EnhancedStatus status{4, 3, 0};
  std::string text;
  std::string store_said;  // code, status and text as the store put them; empty: it said nothing
  int store_code = 0;      // that code
  std::optional<Trouble> trouble = std::nullopt;  // none: it is the store's answer
};

Outcome outcome_of(const Answer& answer);
Outcome outcome_of(Trouble trouble, std::string_view detail);
// What an admin wrote: a status of class 5 refuses for good, one of class 4 for now.
Outcome outcome_of(const EnhancedStatus& status, std::string_view text);

// What the store said, or what we say in its place, for logs and people.
std::string words_of(const Outcome& outcome);

// "Log in first" (430 and 530 of Cyrus's, and their like): an omission of ours.
bool asks_for_login(const Outcome& outcome);
bool asks_for_login(const Reply& reply);

// The line for the MTA, with the trace id that joins its log to ours and the store's.
std::string reply_line(const Outcome& outcome, const TraceId& trace);

// sysexits(3): 0; 75 if any recipient may be tried again; else the first refusal's 67, 65 or 69.
int exit_status(const std::vector<Outcome>& outcomes);

}  // namespace lmtpq::mailer

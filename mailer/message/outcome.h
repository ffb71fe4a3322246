// The outcome of a message for one recipient: delivered, deferred or refused, and with which reply.
//
// outcome_of() alone decides what a store's reply (outcome_of_reply.cpp) or a local problem
// (outcome.cpp) means for the client (an SMTP-like reply) and for a script (an exit status of
// sysexits.h); only an over-quota policy (over_quota.h) changes it afterwards.
//
// Rules: RFC 5321 section 4.2, RFC 3463, and what Sendmail does with a reply after end of data
// (usersmtp.c, smtpgetstat): 55x bounces the mail, any other 5xx becomes "Remote protocol error",
// and after 421 it ignores all later replies. So a permanent reply is always 55x, 421 is never
// sent, and our own problems, a refused login and a store's protocol errors are always temporary.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/tag/over_quota_policy.h"
#include "common/tag/trace_id.h"
#include "mailer/lmtp/lmtp_client.h"
#include "mailer/lmtp/reply.h"

namespace lmtpq::mailer {

enum class Fate { kDelivered, kTemporary, kPermanent };
inline constexpr const char* kFateNames[] = {"sent", "deferred", "refused"};

enum class Trouble {
  kUnreachable,    // the store could not be dialled, or did not greet us with 220
  kTls,            // TLS failed, and the level requires it
  kLogin,          // the store refused the login, or requires one
  kLoop,           // the store is this process itself
  kBusy,           // no connection within the time limit
  kMailboxBusy,    // no turn for the mailbox within the time limit
  kLost,           // the connection broke or timed out before end of data
  kUncertain,      // the same after end of data: the store may have filed the message
  kProtocolError,  // the store's replies are invalid
  kSpool,          // the spool directory cannot be written or read
  kConfiguration,  // a file or option of ours is wrong
  kUnrouted,       // the look-up of the recipient's store failed
  kInternal,       // out of memory, or a bug
  kTooLarge,       // over a size limit, ours or the store's
  kNeedsUtf8,      // an address or the header needs SMTPUTF8, which the store does not support
  kBadAddress,     // an argument is not an address
  kNul,            // the message has NUL bytes, which are refused
  kClientGone,     // the client disconnected before the message was sent to a store
};

inline constexpr const char* kTroubleNames[] = {
    "unreachable", "tls",       "login",          "loop",        "busy",          "mailbox-busy",
    "lost",        "uncertain", "protocol-error", "spool",       "configuration", "unrouted",
    "internal",    "too-large", "needs-utf8",     "bad-address", "nul",           "client-gone"};

struct Outcome {
  Fate fate = Fate::kTemporary;
  int code = 451;
  EnhancedStatus status{4, 3, 0};
  std::string text;
  std::string store_reply;  // code, status and text as the store sent them; empty: no reply
  int store_code = 0;       // that code
  std::optional<Trouble> trouble = std::nullopt;  // none: it is the store's reply
  bool full = false;                              // the mailbox is over quota: over_quota.h
  // What --over-quota, or a tag, made of the store's refusal; kStore: its reply stands.
  OverQuotaAction over_quota = OverQuotaAction::kStore;
};

Outcome outcome_of(const Answer& answer);
Outcome outcome_of(Trouble trouble, std::string_view detail);
// An error from a route file: permanent with a status of class 5, temporary with class 4.
Outcome outcome_of(const EnhancedStatus& status, std::string_view text);

// The store's reply, or ours if it sent none, for logs and people.
std::string reply_text(const Outcome& outcome);

// Whether the store wants a login first (530, or 430 of Cyrus, and the like).
bool asks_for_login(const Outcome& outcome);
bool asks_for_login(const Reply& reply);

// The reply for the client, one line with the trace id that joins its log to ours and the store's.
std::string reply_line(const Outcome& outcome, const TraceId& trace);

// sysexits(3): 0; 75 if a recipient can be tried again; otherwise 67, 65 or 69 by the first
// refusal.
int exit_status(const std::vector<Outcome>& outcomes);

}  // namespace lmtpq::mailer

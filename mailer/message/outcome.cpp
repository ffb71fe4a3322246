#include "mailer/message/outcome.h"

#include <sysexits.h>

#include <algorithm>
#include <array>

#include "mailer/message/over_quota.h"

namespace lmtpq::mailer {
namespace {

struct TroubleRule {
  Trouble trouble;
  Fate fate;
  int code;
  EnhancedStatus status;
  std::string_view prefix;  // of the reply's text
};

constexpr auto kTroubles = std::to_array<TroubleRule>({
    {Trouble::kUnreachable, Fate::kTemporary, 451, {4, 4, 1}, "Store unreachable: "},
    {Trouble::kTls, Fate::kTemporary, 451, {4, 7, 5}, "TLS failed: "},
    {Trouble::kLogin, Fate::kTemporary, 451, {4, 7, 8}, ""},
    {Trouble::kLoop, Fate::kTemporary, 451, {4, 4, 6}, "Mail loop: "},
    {Trouble::kBusy, Fate::kTemporary, 451, {4, 4, 5}, "Too many deliveries in progress: "},
    {Trouble::kMailboxBusy, Fate::kTemporary, 451, {4, 2, 1}, "Mailbox busy: "},
    {Trouble::kLost, Fate::kTemporary, 451, {4, 4, 2}, "Connection to the store lost: "},
    {Trouble::kUncertain,
     Fate::kTemporary,
     451,
     {4, 4, 2},
     "Connection lost after the end of data, possible duplicate: "},
    {Trouble::kProtocolError, Fate::kTemporary, 451, {4, 5, 0}, "Invalid reply from store: "},
    {Trouble::kSpool, Fate::kTemporary, 452, {4, 3, 1}, "Cannot spool the message: "},
    {Trouble::kConfiguration, Fate::kTemporary, 451, {4, 3, 5}, "lmtpq configuration error: "},
    {Trouble::kUnrouted, Fate::kTemporary, 451, {4, 4, 3}, "No route: "},
    {Trouble::kInternal, Fate::kTemporary, 451, {4, 3, 0}, "lmtpq: "},
    {Trouble::kTooLarge, Fate::kPermanent, 552, {5, 3, 4}, "Message too large: "},
    {Trouble::kNeedsUtf8, Fate::kPermanent, 550, {5, 6, 7}, "Store does not support SMTPUTF8: "},
    {Trouble::kBadAddress, Fate::kPermanent, 553, {5, 1, 3}, "Invalid address: "},
    {Trouble::kNul, Fate::kPermanent, 554, {5, 6, 0}, "Message contains NUL bytes: "},
    {Trouble::kClientGone, Fate::kTemporary, 451, {4, 4, 2}, "Client disconnected: "},
});
static_assert(kTroubles.size() == std::size(kTroubleNames));

}  // namespace

Outcome outcome_of(Trouble trouble, std::string_view detail) {
  const auto* const rule = std::find_if(kTroubles.begin(), kTroubles.end(),
                                        [&](const auto& r) { return r.trouble == trouble; });
  return {rule->fate, rule->code, rule->status, std::string(rule->prefix) + std::string(detail),
          {},         0,          trouble};
}

Outcome outcome_of(const EnhancedStatus& status, std::string_view text) {
  const bool permanent = status.klass == 5;
  Outcome made{permanent ? Fate::kPermanent : Fate::kTemporary,
               permanent ? 550 : 451,
               status,
               std::string(text),
               {},
               0};
  made.full = over_quota(status);
  return made;
}

std::string reply_text(const Outcome& outcome) {
  return !outcome.store_reply.empty()
             ? outcome.store_reply
             : std::to_string(outcome.code) + " " + outcome.status.text() + " " + outcome.text;
}

std::string reply_line(const Outcome& outcome, const TraceId& trace) {
  const std::string mark = "TRACEID=<" + trace.text() + ">";
  // The id joins the logs, so it must fit; the text may be cut.
  constexpr std::size_t kRoom = kMaxReplyLine - 24;
  static_assert(kRoom > TraceId::kMaxLength + 10);
  std::string text = capped(outcome.text, kRoom - mark.size());
  if (!trace.empty() && text.find(mark) == std::string::npos) {
    text += " " + mark;
  }
  return reply_line(outcome.code, outcome.status, text);
}

int exit_status(const std::vector<Outcome>& outcomes) {
  int status = EX_OK;
  for (const Outcome& outcome : outcomes) {
    if (outcome.fate == Fate::kTemporary) {
      return EX_TEMPFAIL;
    }
    if (outcome.fate == Fate::kPermanent && status == EX_OK) {
      // X.1.7 and X.1.8 are about the sender.
      const bool sender = outcome.status.detail == 7 || outcome.status.detail == 8;
      status = outcome.status.subject == 1 && !sender ? EX_NOUSER
               : outcome.status.subject == 6          ? EX_DATAERR
                                                      : EX_UNAVAILABLE;
    }
  }
  return status;
}

}  // namespace lmtpq::mailer

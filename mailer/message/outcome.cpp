#include "mailer/message/outcome.h"

#include <sysexits.h>

#include <algorithm>
#include <array>

namespace lmtpq::mailer {
namespace {

struct TroubleRule {
  Trouble trouble;
  Fate fate;
  int code;
  EnhancedStatus status;
  std::string_view prefix;  // of the reply's text
};

constexpr std::array<TroubleRule, 14> kTroubles{{
    {Trouble::kUnreachable, Fate::kTemporary, 451, {4, 4, 1}, "Store unreachable: "},
    {Trouble::kTls, Fate::kTemporary, 451, {4, 7, 5}, "TLS failed: "},
    {Trouble::kLogin, Fate::kTemporary, 451, {4, 7, 8}, ""},
    {Trouble::kBusy, Fate::kTemporary, 451, {4, 4, 5}, "Too many deliveries in progress: "},
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
}};

// For stores without enhanced status codes: the one that the code means (RFC 5321 section 4.2.3).
EnhancedStatus status_of_code(Awaited stage, int code) {
  switch (code) {
    case 450:
      return {4, 2, 0};
    case 452:
      return {4, 3, 1};
    case 550:
      return stage == Awaited::kRcpt ? EnhancedStatus{5, 1, 1} : EnhancedStatus{5, 0, 0};
    case 551:
      return {5, 1, 6};
    case 552:
      return {5, 2, 2};
    case 553:
      return stage == Awaited::kMail ? EnhancedStatus{5, 1, 7} : EnhancedStatus{5, 1, 3};
    default:
      return code / 100 == 2 ? EnhancedStatus{2, 1, 5} : EnhancedStatus{code / 100, 0, 0};
  }
}

// We did not log in, or not well enough; the message is not at fault.
bool wants_login(int code) {
  return code == 430 || code == 530 || code == 534 || code == 535 || code == 538;
}

// The store objects to our command, not to the recipient or the message.
bool rejects_command(Awaited stage, int code) {
  return stage != Awaited::kFinal && (code == 500 || code == 502 || code == 503 || code == 504);
}

}  // namespace

Outcome outcome_of(const Answer& answer) {
  const Reply& reply = answer.reply;
  // Shortened to save memory: a store can send a thousand replies of several kilobytes.
  const std::string shown = capped(reply.summary());
  // A store that shuts down after end of data may have filed the message before, as Dovecot does.
  if (reply.code == 421 && answer.stage == Awaited::kFinal) {
    return outcome_of(Trouble::kUncertain, shown);
  }
  if (reply.klass() == 5 && rejects_command(answer.stage, reply.code)) {
    Outcome made = outcome_of(Trouble::kProtocolError, shown);
    made.store_reply = shown;
    made.store_code = reply.code;
    return made;
  }
  Outcome made{Fate::kDelivered,
               reply.code,
               reply.status.value_or(status_of_code(answer.stage, reply.code)),
               capped(reply.text()),
               shown,
               reply.code};
  if (reply.klass() == 5 && wants_login(reply.code)) {
    made.fate = Fate::kTemporary;
    made.code = 451;
    made.status.klass = 4;
    made.trouble = Trouble::kLogin;
  } else if (reply.klass() == 4) {
    made.fate = Fate::kTemporary;
    made.code = reply.code == 421 ? 451 : reply.code;
  } else if (reply.klass() == 5) {
    made.fate = Fate::kPermanent;
    made.code = reply.code / 10 == 55 && reply.code != 555 ? reply.code : 554;
  } else {
    made.code = 250;
  }
  return made;
}

Outcome outcome_of(Trouble trouble, std::string_view detail) {
  const auto* const rule = std::find_if(kTroubles.begin(), kTroubles.end(),
                                        [&](const auto& r) { return r.trouble == trouble; });
  return {rule->fate, rule->code, rule->status, std::string(rule->prefix) + std::string(detail),
          {},         0,          trouble};
}

Outcome outcome_of(const EnhancedStatus& status, std::string_view text) {
  const bool permanent = status.klass == 5;
  return {permanent ? Fate::kPermanent : Fate::kTemporary,
          permanent ? 550 : 451,
          status,
          std::string(text),
          {},
          0};
}

std::string reply_text(const Outcome& outcome) {
  return !outcome.store_reply.empty()
             ? outcome.store_reply
             : std::to_string(outcome.code) + " " + outcome.status.text() + " " + outcome.text;
}

bool asks_for_login(const Outcome& outcome) { return wants_login(outcome.store_code); }

bool asks_for_login(const Reply& reply) { return wants_login(reply.code); }

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

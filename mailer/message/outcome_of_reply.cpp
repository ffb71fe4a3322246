// What a store's reply means for the recipient.

#include "mailer/lmtp/refusal.h"
#include "mailer/message/outcome.h"
#include "mailer/message/over_quota.h"

namespace lmtpq::mailer {
namespace {

// For stores without enhanced status codes: the one that the code means (RFC 5321 section 4.2.3).
// 552 has several meanings: a full mailbox, a message that is too large, too many recipients.
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
    case 553:
      return stage == Awaited::kMail ? EnhancedStatus{5, 1, 7} : EnhancedStatus{5, 1, 3};
    default:
      return code / 100 == 2 ? EnhancedStatus{2, 1, 5} : EnhancedStatus{code / 100, 0, 0};
  }
}

// The store objects to our command, not to the recipient or the message. After end of data too: it
// is out of step with us.
bool rejects_command(int code) { return code == 500 || code == 502 || code == 503 || code == 504; }

bool can_be_about_the_mailbox(const Answer& answer) {
  return answer.reply.code != 421 &&
         (answer.stage == Awaited::kRcpt || answer.stage == Awaited::kData ||
          answer.stage == Awaited::kFinal);
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
  if (reply.klass() == 5 && rejects_command(reply.code)) {
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
  // We did not log in, or not well enough; the message is not at fault.
  if (reply.klass() == 5 && asks_for_login(reply.code)) {
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
  made.full = !made.trouble && can_be_about_the_mailbox(answer) && over_quota(reply);
  if (made.full) {
    made.status = {made.status.klass, 2, 2};
  }
  return made;
}

bool asks_for_login(const Outcome& outcome) { return asks_for_login(outcome.store_code); }

bool asks_for_login(const Reply& reply) { return asks_for_login(reply.code); }

}  // namespace lmtpq::mailer

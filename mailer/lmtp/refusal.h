// What a store's refusal is about: the session, a missing login, or the message as such.
//
// Pure functions of a reply. What the refusal means for a recipient is for outcome_of() to decide
// (mailer/message/outcome.h).
#pragma once

#include "mailer/lmtp/reply.h"

namespace lmtpq::mailer {

// The store wants a login first (RFC 4954 section 6; 430 of Cyrus).
bool asks_for_login(int code);

// Of a refusal of MAIL: whether its reason can be what was said on the connection before, so that
// a new connection may be accepted. The store is out of step with us (500, 502, 503, 504), limits
// the messages of a session (452 4.5.3), lets a login expire, or is closing.
bool refuses_session(const Reply& reply);

// Cyrus refuses a message for all recipients at once with these replies.
bool refuses_message(const Reply& reply);

}  // namespace lmtpq::mailer

// The MTA's queue id, out of the message itself.
//
// What it is: the `id` clause of the topmost Received field (RFC 5321 section 4.4), which our own
//   Sendmail wrote; argv cannot tell, since one process serves many messages.
// What it does not know: Sendmail's other fields, tags.
// Called by: delivery, once a message.
// Threads and lifetimes: a pure function.
// Failure: empty when there is no Received field, no id in it, or one that is no valid trace id.
#pragma once

#include <string_view>

#include "common/tag/trace_id.h"

namespace lmtpq::mailer {

TraceId queue_id(std::string_view message_head);

}  // namespace lmtpq::mailer

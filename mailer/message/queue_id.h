// The queue id of the local MTA, from the header of the message.
//
// It is the `id` clause of the topmost Received field (RFC 5321 section 4.4), which the local
// Sendmail wrote. (The command line cannot tell it, as one process delivers many messages.) Empty
// if there is no such field, no id in it, or an id that is not a valid trace id.
#pragma once

#include <string_view>

#include "common/tag/trace_id.h"

namespace lmtpq::mailer {

TraceId queue_id(std::string_view message_head);

}  // namespace lmtpq::mailer

// The queue id of the local MTA, from the header of the message.
//
// It is the `id` clause of the topmost Received field (RFC 5321 section 4.4), which the local
// Sendmail wrote. (The command line cannot tell it, as one process delivers many messages.) Empty
// if there is no such field, no id in it, or an id that is not a valid trace id.
//
// Parts of the field are in the hands of those who send mail: the HELO name, the reply of an ident
// server, the protocol and the host name of `sendmail -oMr -oMs`, the recipient's address. None of
// them can put an older id in the place of Sendmail's: there is no queue id if `by` or `id` occurs
// twice outside comments and quoted strings, if one of these is not closed, or if the field has
// over 998 bytes, since it may have lost its end.
#pragma once

#include <string_view>

#include "common/tag/trace_id.h"

namespace lmtpq::mailer {

TraceId queue_id(std::string_view message_head);

}  // namespace lmtpq::mailer

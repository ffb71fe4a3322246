// Reads Sendmail's macros from libmilter: the facts that the MTA knows about a message.
//
// A missing macro reads as empty. Macros of a message or a recipient are cleared once read: where
// libmilter has no memory for new ones it shows those of the previous message again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "milter/policy/message_facts.h"

struct smfi_str;  // libmilter's context of a connection

namespace lmtpq::milter {

// Tells the MTA which macros to send at each stage.
void request_macros(smfi_str* context);

// A text that libmilter may leave out.
std::string_view text_of(const char* text);

// The client of a connection for which the MTA skipped the connect stage.
ClientFacts client_from_macros(smfi_str* context);
// The facts of MAIL, but for client and sender.
MessageFacts mail_facts(smfi_str* context);
// The facts of RCPT, but for the address that the client gave.
RecipientFacts recipient_facts(smfi_str* context);
// At the end of the message.
std::string take_queue_id(smfi_str* context);
std::optional<std::uint64_t> take_size(smfi_str* context);

}  // namespace lmtpq::milter

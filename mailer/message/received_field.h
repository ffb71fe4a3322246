// The topmost Received field of a message (RFC 5321 section 4.4), which the local MTA wrote.
//
// Parts of it are in the hands of those who send mail: the HELO name, the reply of an ident server,
// the protocol and the host name of `sendmail -oMr -oMs`, the recipient's address.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lmtpq::mailer {

// Its words outside comments; a quoted string is part of a word, a semicolon is a word. nullopt:
// there is no such field, a comment or quoted string in it is not closed, or it has over 998 bytes,
// since it may have lost its end.
std::optional<std::vector<std::string>> received_words(std::string_view message_head);

}  // namespace lmtpq::mailer

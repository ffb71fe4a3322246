// The topmost Received field of a message (RFC 5321 section 4.4), which the local MTA wrote.
//
// Parts of it are in the hands of those who send mail: the HELO name, the reply of an ident server,
// the protocol and the host name of `sendmail -oMr -oMs`, the recipient's address.
#pragma once

#include <functional>
#include <string_view>

namespace lmtpq::mailer {

enum class WordPlace {
  kPlain,     // a quoted string is part of a word, a semicolon is a word
  kEnclosed,  // in a comment or quoted string, which a client may have opened to hide it
};

// Calls `take` with each of its words, from the first to the last. The view is valid during the
// call. False, and the words are worth nothing: there is no such field, a comment or quoted string
// in it is not closed, or it has over 998 bytes, since it may have lost its end.
bool read_received(std::string_view message_head,
                   const std::function<void(std::string_view word, WordPlace place)>& take);

}  // namespace lmtpq::mailer

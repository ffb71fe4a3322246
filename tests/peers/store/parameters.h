// The arguments of MAIL and RCPT: the path in angle brackets and the parameters after it.
//
// Pure functions, which may be called from any thread. A failure is an empty path, or the reply
// line that refuses the command.
//
// RFC 5321 section 4.1.2 as Cyrus imap/lmtpengine.c implements it: nothing may come between the
// colon and the bracket; one space separates parameters, and none may come last; IGNOREQUOTA ends
// the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "options.h"

namespace store {

// The path at the start of `text`, brackets included; empty where there is none. A byte above 127
// is one only in a quoted local part (lmtp_strict_rfc2821 of Cyrus, on by default).
std::string parse_path(std::string_view text);

// The local part of a path, without a source route, quotes and backslashes; may be empty.
std::string local_part(std::string_view path);

// Both take what follows the path and answer the refusing reply, or an empty string. `limit` is
// the largest SIZE, 0 for any.
std::string check_mail_parameters(std::string_view text, const Extensions& extensions,
                                  std::uint64_t limit);
std::string check_rcpt_parameters(std::string_view text, const Extensions& extensions,
                                  bool& ignore_quota);

// Does `text` begin with this ASCII word, in any case?
bool begins_with(std::string_view text, std::string_view word);

}  // namespace store

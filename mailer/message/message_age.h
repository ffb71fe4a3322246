// The age of a message, by the date in its topmost Received field (RFC 5321 section 4.4).
//
// The local MTA wrote that field when it received the message, so the age counts from there,
// however long the message was elsewhere before. 0 if there is no such field, or its date cannot be
// read, has a zone that is not known, is in the future, or before the year 2000: a broken date must
// never make a message old.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

namespace lmtpq::mailer {

// `now` is Unix time.
std::chrono::seconds message_age(std::string_view message_head, std::int64_t now);

}  // namespace lmtpq::mailer

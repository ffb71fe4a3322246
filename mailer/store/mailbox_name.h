// The name under which deliveries to one mailbox are counted.
#pragma once

#include <string>
#include <string_view>

#include "common/mailbox.h"

namespace lmtpq::mailer {

// The address in lower case, without quotes, and without a detail (`user+detail`), which begins at
// the first of the `delimiters`. An address that begins with a delimiter has no detail: for Cyrus
// `+folder` is a shared folder. Only the store knows aliases and domains that are one.
std::string mailbox_name(const Mailbox& address, std::string_view delimiters);

}  // namespace lmtpq::mailer

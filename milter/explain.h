// `lmtpq-milter --explain`: prints the decision for one message, the reason, and the tag.
//
// The facts come from the command line, the message from standard input. Takes the same steps as
// Message::decide() without edits and without counting, and assumes that Sendmail resolves each
// recipient to itself and to a mailer that reads tags. Throws ConfigError for invalid options;
// without keys it says so and continues.
#pragma once

#include <cstdint>
#include <iosfwd>

#include "milter/load_configuration.h"

namespace lmtpq::milter {

void explain(const LoadedConfiguration& loaded, std::istream& message, std::ostream& out,
             std::int64_t now);

}  // namespace lmtpq::milter

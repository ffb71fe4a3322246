// An error that the admin made: in an option, in a configuration file, or in a file named there.
//
// The text is one line: the place (file and line, or the option), what is wrong, what to do. Thrown
// at start and at reload only; failures of a delivery are Outcomes.
#pragma once

#include <stdexcept>

namespace lmtpq {

struct ConfigError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace lmtpq

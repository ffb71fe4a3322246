// A mistake of the admin's: in an option, a configuration file, or a file that one of them names.
//
// Its text is one line: the place (file and line, or the option), what is wrong, what to do. It is
// thrown at start and at reload only; while mail flows, trouble is an Outcome.
#pragma once

#include <stdexcept>

namespace lmtpq {

struct ConfigError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace lmtpq

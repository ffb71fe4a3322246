// Whether all programs that need the key file can use it: relay, which reads it with root's rights
// under Sendmail whatever U= says, and lmtpq serve and lmtpq-milter, which run as one user.
//
// Tried, not computed from the mode: groups, ACLs and security modules decide too.
#pragma once

#include <cstddef>
#include <string>

namespace lmtpq::mailer {

// The user of the units, and its group.
inline constexpr const char* kServiceUser = "lmtpq";

// The number of keys. Throws ConfigError with the file, its owner and mode, and the command that
// corrects it. For root only; no other thread may run.
std::size_t require_key_readers(const std::string& path);

}  // namespace lmtpq::mailer

// What lmtpq-milter has unless milter.conf says otherwise, and `lmtpq check` looks for.
#pragma once

namespace lmtpq {

inline constexpr const char* kMilterSocket = "unix:/run/lmtpq/milter.sock";
// Sendmail's mailers whose recipients get tags, since they run lmtpq.
inline constexpr const char* kTagMailers = "cyrusv2 cyrusv2q";

}  // namespace lmtpq

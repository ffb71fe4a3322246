// How long each stage of a delivery took, added up over all connections that were tried for it.
//
// A value.
#pragma once

#include <array>
#include <string>

#include "mailer/io/channel.h"

namespace lmtpq::mailer {

enum class Stage {
  kConnect,   // the dial: name look-up and connect(2)
  kLhlo,      // greeting and LHLO
  kTls,       // STARTTLS, the handshake, LHLO again
  kAuth,      // AUTH, LHLO again
  kEnvelope,  // from RSET or MAIL to the reply that lets the message begin
  kData,      // from there to end of data
  kReply,     // from there to the outcome
};

class StageTimes {
 public:
  Clock::duration& operator[](Stage stage) { return spent_[static_cast<std::size_t>(stage)]; }
  StageTimes& operator+=(const StageTimes& more);
  Clock::duration total() const;
  auto begin() const { return spent_.begin(); }  // in the order of Stage
  auto end() const { return spent_.end(); }

 private:
  std::array<Clock::duration, 7> spent_{};
};

// Gives the time since the last call, or since it was made.
class Lap {
 public:
  Clock::duration operator()() {
    const Clock::time_point last = last_;
    last_ = Clock::now();
    return last_ - last;
  }

 private:
  Clock::time_point last_ = Clock::now();
};

// Appends seconds to `text`: "0.003".
void append_seconds(std::string& text, Clock::duration span);
// For the log: "12.3s".
std::string seconds_text(Clock::duration span);

}  // namespace lmtpq::mailer

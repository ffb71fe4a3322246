// What a delivery writes to the log and reports to the metrics.
//
// A line for each recipient's outcome, for each tag that is rejected, for a store or a connection
// that could not be used and for a store that refuses the trace id. Failures of the log never
// affect mail.
#pragma once

#include <string>
#include <string_view>

#include "common/log/log.h"
#include "mailer/delivery/attempt.h"
#include "mailer/delivery/message_state.h"
#include "mailer/message/delivery_events.h"

namespace lmtpq::mailer {

class DeliveryLog {
 public:
  // `events` may be nullptr: nobody counts.
  DeliveryLog(const Log& log, DeliveryEvents* events) : log_(log), events_(events) {}

  void tags(const MessageState& message) const;
  void store_failed(const MessageState& message, const Store& store,
                    const std::string& reason) const;
  // A connection that was idle before, and could not be used for this message.
  void connection_lost(const MessageState& message, const Attempt& attempt,
                       const std::string& reason) const;
  void trace_refused(const MessageState& message, const Upstream& upstream) const;
  // At the moment at which it is decided: the line has the time that each stage took.
  void outcome(const MessageState& message, std::size_t recipient, const Attempt& attempt) const;

 private:
  void rejected_tag(const MessageState& message, const RejectedTag& tag) const;
  void count_tag(std::string_view verdict) const;
  void count_outcome(const MessageState& message, std::size_t recipient, const Attempt& attempt,
                     Clock::time_point end_of_data, Clock::time_point now) const;

  const Log& log_;
  DeliveryEvents* const events_;
};

}  // namespace lmtpq::mailer

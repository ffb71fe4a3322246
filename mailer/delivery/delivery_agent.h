// Who takes a session's messages on.
//
// What it is: the one thing that a Session asks of what is behind it.
// What it does not know: clients, sockets, stores.
// Called by: Session; Delivery is one, and so is the daemon's, which asks the configuration of the
//   moment for each message.
// Threads and lifetimes: used by the session's thread.
// Failure: none escapes; trouble of any kind is an Outcome.
#pragma once

#include <vector>

#include "common/tag/trace_id.h"
#include "mailer/io/channel.h"
#include "mailer/lmtp/envelope.h"
#include "mailer/message/mail_data.h"
#include "mailer/message/outcome.h"

namespace lmtpq::mailer {

struct Delivered {
  TraceId trace;
  std::vector<Outcome> outcomes;  // in the envelope's order
};

struct MessageTimes {
  Clock::time_point begun;     // the client began with the message
  Clock::time_point complete;  // its dot was in: from here on the client loses its patience
};

class DeliveryAgent {
 public:
  virtual ~DeliveryAgent() = default;
  // `begun` is when the client began with this message, for the log's delays.
  virtual Delivered deliver(const Envelope& envelope, const MailData& data,
                            Clock::time_point begun) = 0;
  // The client was gone before it heard the outcomes.
  virtual void reply_lost() {}
  // Idle connections that are held for this session alone: are there any, and say goodbye to them.
  virtual bool has_idle() const { return false; }
  virtual void drop_idle() {}
};

}  // namespace lmtpq::mailer

// The interface of everything that delivers a message.
//
// An LmtpSession hands each message to its agent. Delivery is the agent that asks the stores. In
// the daemon the session's agent is ListenerDelivery, which takes the configuration of the moment;
// it passes the message to FanOut, which splits it by route, and FanOut passes the parts to
// Delivery.
//
// deliver() throws nothing once it has begun: every failure is an Outcome. FanOut calls it on
// several threads at once, for parts of one message; the rest is for the session's thread. The
// outcomes are in the result, and each is reported to the MessageClient as soon as it is decided.
#pragma once

#include <vector>

#include "common/tag/trace_id.h"
#include "mailer/io/channel.h"
#include "mailer/lmtp/envelope.h"
#include "mailer/message/mail_data.h"
#include "mailer/message/outcome.h"
#include "mailer/settings/destination.h"

namespace lmtpq::mailer {

// The client that waits for the outcomes of one message. Called by several threads at once if the
// message has several routes. Recipients are numbered as in the request's envelope.
class MessageClient {
 public:
  virtual ~MessageClient() = default;
  // As soon as the outcome is decided, and only once. An outcome that was not reported here is
  // taken from the result.
  virtual void decided(std::size_t recipient, const Outcome& outcome, const TraceId& trace) = 0;
  // The delivery is about to wait: passes on the replies that are due, as far as the client takes
  // them at once.
  virtual void pass_on() noexcept = 0;
  // The client has disconnected, so that nothing should be delivered any more. Costs a system call
  // until it is true; then it stays true.
  virtual bool gone() = 0;
};

// One message, or the part of it whose recipients take the same route.
struct DeliveryRequest {
  const Envelope& envelope;
  const MailData& data;        // of the whole message
  Clock::time_point begun;     // the client began with the message
  Clock::time_point complete;  // end of data was read: the client's timeout runs from here
  // The stores that the routes name; nullptr: the default ones.
  const std::vector<Destination>* route = nullptr;
  // What the routes decided for each recipient. No store is asked then; the outcomes are logged and
  // counted as others are. nullptr: nothing is decided yet.
  const std::vector<Outcome>* decided = nullptr;
  MessageClient* client = nullptr;  // nullptr: only the result counts
  std::size_t part = 0;             // of the message: what is about all of it is reported with 0
};

struct DeliveryResult {
  TraceId trace;
  std::vector<Outcome> outcomes;  // in the envelope's order
  TraceId queue_id{};             // the client's, for the log
};

class DeliveryAgent {
 public:
  virtual ~DeliveryAgent() = default;
  virtual DeliveryResult deliver(const DeliveryRequest& request) = 0;
  // The client disconnected before it received the outcomes of a message, or did not read them.
  virtual void reply_lost() {}
  // The client is between messages, maybe for long: what is kept for one can go.
  virtual void rest() {}
  // Idle connections that are kept for this session alone.
  virtual bool has_idle() const { return false; }
  virtual void close_idle() {}
};

}  // namespace lmtpq::mailer

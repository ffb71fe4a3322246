// Who counts what happens on the road.
//
// What it is: the events that are worth a figure, as calls that do nothing here.
// What it does not know: what becomes of the figures; the daemon's CounterRegistry does.
// Called by: Delivery, ConnectionPool, Clients and the daemon.
// Threads and lifetimes: called from several threads; outlives all that it is given to.
// Failure: none; an implementation must not throw.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "mailer/message/outcome.h"

namespace lmtpq::mailer {

// Why a client is sent away.
enum class Dismissal { kStopping, kNotAllowed, kTooMany, kTooManyOfOne, kNoRoom };
inline constexpr const char* kDismissalNames[] = {"stopping", "not-allowed", "too-many",
                                                  "too-many-of-one", "no-room"};

class DeliveryEvents {
 public:
  using Time = std::chrono::nanoseconds;

  // A message that a client brought to its end.
  struct Message {
    std::uint64_t bytes;
    bool spooled;
    Time input;  // from its MAIL to its dot
  };
  // From the first command of a transaction to its dot, and from there to the answer.
  struct Transfer {
    Time sent;
    Time answered;
  };
  // One recipient's outcome. `destination` is empty when no store was asked.
  struct Fact {
    std::string_view destination;
    const Outcome& outcome;
    std::string_view ignorequota;      // kBypassNames
    Time waited;                       // for the mailbox's turn and a connection, dialled or free
    std::optional<Transfer> transfer;  // none: the message did not leave, dot and all
  };

  virtual ~DeliveryEvents() = default;
  virtual void taken(const Message&) {}
  virtual void decided(const Fact&) {}
  // The client was gone before it heard the outcomes.
  virtual void reply_lost() {}
  // `result`: "ready", "without-tls" (ready, though TLS failed), or what kTroubleNames calls it.
  virtual void dialled(std::string_view /*destination*/, std::string_view /*result*/, Time) {}
  // "valid", or what kTagFaultNames calls it.
  virtual void tag_judged(std::string_view /*verdict*/) {}
  virtual void client_admitted() {}
  virtual void client_refused(Dismissal) {}
  virtual void reloaded(bool /*good*/) {}
};

}  // namespace lmtpq::mailer

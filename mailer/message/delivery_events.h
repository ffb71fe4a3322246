// Interface: notified of deliveries, dials and clients, for metrics.
//
// The functions do nothing here; the daemon's CounterRegistry counts. They are called from several
// threads and must not throw. The object must outlive everything that it is given to.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "mailer/message/outcome.h"
#include "mailer/message/relief.h"

namespace lmtpq::mailer {

// Why a client is refused.
enum class ClientRefusal { kStopping, kNotAllowed, kTooMany, kTooManyOfOne, kNoRoom, kNotTrusted };
inline constexpr const char* kClientRefusalNames[] = {
    "stopping", "not-allowed", "too-many", "too-many-of-one", "no-room", "not-trusted"};

class DeliveryEvents {
 public:
  using Time = std::chrono::nanoseconds;

  // A message that was received completely.
  struct Message {
    std::uint64_t bytes;
    bool spooled;
    Time input;  // from MAIL to end of data
  };
  // Of a transaction with a store: from its first command to end of data, and from there to the
  // reply.
  struct Transfer {
    Time sent;
    Time answered;
  };
  // The outcome for one recipient. `destination` is empty if no store was dialled.
  struct Fact {
    std::string_view destination;
    const Outcome& outcome;
    std::string_view ignorequota;      // kIgnoreQuotaUseNames
    Time waited;                       // for the mailbox's turn and for a connection
    std::optional<Transfer> transfer;  // none: the message was not sent completely
    std::vector<Relief> reliefs{};
  };

  virtual ~DeliveryEvents() = default;
  virtual void taken(const Message&) {}
  virtual void decided(const Fact&) {}
  // The client disconnected before it received the replies, or did not read them.
  virtual void reply_lost() {}
  // `result` is "ready", "without-tls" (ready, but TLS failed), or one of kTroubleNames.
  virtual void dialled(std::string_view /*destination*/, std::string_view /*result*/, Time) {}
  // `verdict` is "valid" or one of kTagFaultNames.
  virtual void tag_judged(std::string_view /*verdict*/) {}
  virtual void client_admitted() {}
  virtual void client_refused(ClientRefusal) {}
  virtual void reloaded(bool /*good*/) {}
};

}  // namespace lmtpq::mailer

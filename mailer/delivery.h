// The road of a message: envelope and body in, exactly one outcome per recipient out.
//
// What it is: the order of connections. One is leased (kept or new), the transaction runs on it,
//   and what it left undecided goes on: to a fresh connection, to the next store, or to an end.
// What it does not know: who brought the message and how the outcomes are told (the fronts do),
//   how a connection is made and kept (the pool does), what an answer means (Progress does).
// Called by: Session and the argv front.
// Threads and lifetimes: one thread; what it is given may be shared and must outlive it.
// Failure: none escapes; trouble of any kind is an Outcome.
// Rules: before the dot a dead connection is replaced, after it never (docs/ARCHITECTURE.md).
#pragma once

#include <vector>

#include "carrier.h"
#include "log.h"
#include "mailbox_limiter.h"
#include "meter.h"
#include "pools.h"
#include "settings.h"

namespace lmtpq {

class Progress;

// What the daemon's deliveries share; `relay` and `deliver` have none of it.
struct Shared {
  MailboxLimiter* mailboxes = nullptr;
  Meter* meter = nullptr;
};

class Delivery : public Carrier {
 public:
  Delivery(const Settings& settings, Pools& pools, const Log& log, Shared shared = {});

  Delivered deliver(const Envelope& envelope, const MailData& data,
                    Clock::time_point begun) override;
  bool has_idle() const override { return pools_.has_idle(); }
  void drop_idle() override { pools_.drop_idle(); }

 private:
  struct Clocks;  // when the message reached which stage

  void run(Progress& progress, Clocks& clocks);
  Claim claim(const Progress& progress, Clocks& clocks) const;
  Lease lease(const std::vector<StorePool*>& order, std::size_t& next, Clocks& clocks);
  void attempt(Progress& progress, Upstream& upstream, Clocks& clocks);
  void log_tags(const Progress& progress) const;
  void log_outcome(const Progress& progress, std::size_t recipient, const Clocks& clocks) const;
  void measure(const Progress& progress, std::size_t recipient, const Clocks& clocks,
               Clock::time_point dot, Clock::time_point now) const;

  const Settings& settings_;
  Pools& pools_;
  const Log& log_;
  Shared shared_;
};

}  // namespace lmtpq

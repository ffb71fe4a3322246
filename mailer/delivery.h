// The road of a message: envelope and body in, exactly one outcome per recipient out.
//
// What it is: the order of connections. One is leased (kept or new), the transaction runs on it,
//   and what it left undecided goes on: to a fresh connection, to the next store, or to an end.
// What it does not know: who brought the message and how the outcomes are told (the fronts do),
//   how a connection is made and kept (the pool does), what an answer means (Progress does).
// Called by: Session and the argv front.
// Threads and lifetimes: one thread; the pools may be shared. Settings, pools and log must outlive
//   it.
// Failure: none escapes; trouble of any kind is an Outcome.
// Rules: before the dot a dead connection is replaced, after it never (docs/ARCHITECTURE.md).
#pragma once

#include <vector>

#include "envelope.h"
#include "log.h"
#include "mail_data.h"
#include "outcome.h"
#include "pool.h"
#include "settings.h"

namespace lmtpq {

class Progress;

struct Delivered {
  TraceId trace;
  std::vector<Outcome> outcomes;  // in the envelope's order
};

class Delivery {
 public:
  Delivery(const Settings& settings, Pools& pools, const Log& log);

  // `begun` is when the client began with this message, for the log's delays.
  Delivered deliver(const Envelope& envelope, const MailData& data, Clock::time_point begun);

  // Idle connections: are there any, and say goodbye to them.
  bool has_idle() const { return pools_.has_idle(); }
  void drop_idle() { pools_.drop_idle(); }

 private:
  struct Clocks;  // when the message reached which stage

  void run(Progress& progress, Clocks& clocks);
  Lease lease(std::size_t& next_store, Clocks& clocks);
  void attempt(Progress& progress, Upstream& upstream, Clocks& clocks);
  void log_tags(const Progress& progress) const;
  void log_outcome(const Progress& progress, std::size_t recipient, const Clocks& clocks) const;

  const Settings& settings_;
  Pools& pools_;
  const Log& log_;
};

}  // namespace lmtpq

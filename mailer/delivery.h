// The road of a message: envelope and body in, exactly one outcome per recipient out.
//
// What it is: the order of connections. One is taken (kept or new), the transaction runs on it, and
//   what it left undecided goes on: to a fresh connection, to the next store, or to an end.
// What it does not know: who brought the message and how the outcomes are told (the fronts do),
//   how a connection is made (the Connector does), what an answer means (Progress does).
// Called by: Session and the argv front.
// Threads and lifetimes: one thread; keeps one idle connection between messages. Settings, dialer
//   and log must outlive it.
// Failure: none escapes; trouble of any kind is an Outcome.
// Rules: before the dot a dead connection is replaced, after it never (docs/ARCHITECTURE.md).
#pragma once

#include <memory>
#include <vector>

#include "connector.h"
#include "dialer.h"
#include "envelope.h"
#include "log.h"
#include "mail_data.h"
#include "outcome.h"
#include "settings.h"
#include "upstream.h"

namespace lmtpq {

class Progress;

struct Delivered {
  TraceId trace;
  std::vector<Outcome> outcomes;  // in the envelope's order
};

class Delivery {
 public:
  Delivery(const Settings& settings, Dialer& dialer, const Log& log);
  ~Delivery();

  // `begun` is when the client began with this message, for the log's delays.
  Delivered deliver(const Envelope& envelope, const MailData& data, Clock::time_point begun);

  // The idle connection: is there one, and say goodbye to it.
  bool has_idle() const { return idle_ != nullptr; }
  void drop_idle();

 private:
  struct Clocks;  // when the message reached which stage

  void run(Progress& progress, Clocks& clocks);
  std::unique_ptr<Upstream> take_idle();
  std::unique_ptr<Upstream> connect(std::size_t& next_store, Clocks& clocks);
  void attempt(Progress& progress, Upstream& upstream, Clocks& clocks);
  void log_tags(const Progress& progress) const;
  void log_outcome(const Progress& progress, std::size_t recipient, const Clocks& clocks) const;

  const Settings& settings_;
  const Log& log_;
  std::vector<Connector> connectors_;  // one for each store, in order
  std::unique_ptr<Upstream> idle_;
};

}  // namespace lmtpq

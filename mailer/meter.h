// Who counts what happens on the road.
//
// What it is: the events that are worth a figure, as calls that do nothing here.
// What it does not know: what becomes of the figures; the daemon's Metrics does.
// Called by: Delivery and StorePool.
// Threads and lifetimes: called from several threads; outlives all that it is given to.
// Failure: none; an implementation must not throw.
#pragma once

#include <chrono>
#include <string_view>

#include "outcome.h"

namespace lmtpq {

class Meter {
 public:
  using Time = std::chrono::nanoseconds;

  // One recipient's outcome. `destination` is empty when no store was asked.
  struct Fact {
    std::string_view destination;
    const Outcome& outcome;
    std::string_view ignorequota;  // kBypassNames
    Time input;                    // the client's message came in
    Time waited;                   // for a connection, dialled or free
    Time sent;                     // envelope and message to the store
    Time answered;                 // from the dot to the answer
  };

  virtual ~Meter() = default;
  virtual void decided(const Fact&) {}
  // `result`: "ready", or what kTroubleNames calls it.
  virtual void dialled(std::string_view /*destination*/, std::string_view /*result*/, Time) {}
  // "believed", or what kTagFaultNames calls it.
  virtual void tag_judged(std::string_view /*verdict*/) {}
};

}  // namespace lmtpq

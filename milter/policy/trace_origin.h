// Where a message's trace id comes from.
//
// What it is: an id that a trusted client sent in one of the named fields (its own form, or W3C
//   `traceparent`, whose trace-id it takes), else one made from the queue id.
// What it does not know: tags, logs.
// Called by: Message, --explain.
// Threads and lifetimes: immutable once made; shared by all threads.
// Failure: none: a client that is not trusted, or an id that TRACE would not take, is passed over.
#pragma once

#include <string>
#include <vector>

#include "common/network.h"
#include "common/tag/trace_id.h"
#include "milter/policy/facts.h"

namespace lmtpq::milter {

class TraceOrigin {
 public:
  TraceOrigin() = default;
  TraceOrigin(std::vector<std::string> field_names, ClientSet trusted);

  const std::vector<std::string>& field_names() const { return field_names_; }
  TraceId choose(const MessageFacts& message) const;

 private:
  std::vector<std::string> field_names_;  // in the order of preference
  ClientSet trusted_;
};

}  // namespace lmtpq::milter

// Chooses a message's trace id: one that a trusted client sent in a header field, otherwise a new
// one made from the queue id.
//
// A field named `traceparent` is read as W3C Trace Context. Ids of other clients, and ids that
// the TRACE command does not allow, are ignored. Immutable; shared by all threads.
#pragma once

#include <string>
#include <vector>

#include "common/tag/trace_id.h"
#include "milter/policy/client_set.h"
#include "milter/policy/message_facts.h"

namespace lmtpq::milter {

class TraceOrigin {
 public:
  TraceOrigin() = default;
  TraceOrigin(std::vector<std::string> field_names, ClientSet trusted);

  const std::vector<std::string>& field_names() const { return field_names_; }
  TraceId choose(const MessageFacts& message) const;

 private:
  std::vector<std::string> field_names_;  // in order of preference
  ClientSet trusted_;
};

}  // namespace lmtpq::milter

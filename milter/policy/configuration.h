// What one reading of the configuration came to: all that a reload replaces.
//
// What it is: an immutable value, shared by the messages that began under it.
// What it does not know: the file it came from; the socket, the user and the log, which a running
//   milter cannot change.
// Called by: settings makes it, Service holds the current one, Message keeps the one it began with.
// Threads and lifetimes: read only; alive as long as a message needs it.
// Failure: none.
#pragma once

#include <chrono>
#include <memory>

#include "common/tag/keyring.h"
#include "milter/policy/policy.h"
#include "milter/policy/trace_origin.h"

namespace lmtpq::milter {

// What becomes of a message that we fail to judge.
enum class FailureAction {
  kAccept,    // it goes on untagged: its quota is honoured
  kTempfail,  // the client is asked to come again
};

struct Configuration {
  Policy policy;
  TraceOrigin trace;
  Keyring keys;  // empty: old tags are removed, none is written
  std::chrono::seconds tag_lifetime{0};
  bool bind_queue_id = true;
  FailureAction failure = FailureAction::kAccept;
};

using ConfigurationPtr = std::shared_ptr<const Configuration>;

}  // namespace lmtpq::milter

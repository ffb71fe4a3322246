// The active configuration: everything that SIGHUP replaces, as one immutable value.
//
// Each message keeps the Configuration with which it began. The socket, the user and the log are
// not in it: they change with a restart only.
#pragma once

#include <chrono>
#include <memory>

#include "common/tag/keyring.h"
#include "milter/policy/policy.h"
#include "milter/policy/trace_origin.h"

namespace lmtpq::milter {

// What to do with a message when deciding about it fails.
enum class FailureAction {
  kAccept,    // accept it without a tag: its quota is honoured
  kTempfail,  // ask the client to try again later
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

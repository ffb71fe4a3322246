// What a store offers, and what it says about one mailbox, without sending anything.
//
// What it is: the facts of one probe, gathered and printed for people or as JSON.
// What it does not know: options, exit statuses.
// Called by: the probe front.
// Threads and lifetimes: one thread, one connection.
// Failure: `reached` or `answered` is not; `failure` has the words.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dialer.h"
#include "lmtp_client.h"
#include "log.h"
#include "settings.h"

namespace lmtpq {

struct ProbeResult {
  enum class Reached {
    kNothing,   // no connection
    kNonsense,  // something listens, but it is no LMTP server for us
    kStore,
  };
  Reached reached = Reached::kNothing;
  std::string failure;
  std::string peer;
  double connect_seconds = 0;
  Reply greeting;
  Capabilities capabilities;
  std::string session;
  std::optional<Reply> recipient;         // the answer to RCPT, when asked
  std::optional<Reply> with_ignorequota;  // the same with IGNOREQUOTA, where offered
};

ProbeResult probe(const Settings& settings, Dialer& dialer, const Log& log);

// Full, by the enhanced code: X.2.2 (RFC 3463).
bool over_quota(const Reply& reply);

std::string describe(const ProbeResult& result, const std::string& recipient);
std::string to_json(const ProbeResult& result, const std::string& recipient);

}  // namespace lmtpq

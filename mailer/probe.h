// What a store offers, and what it says about one mailbox, without sending anything.
//
// What it is: the facts of one probe, gathered (probe.cpp) and printed for people (probe_text.cpp)
//   or as JSON (probe_json.cpp).
// What it does not know: options, exit statuses.
// Called by: the probe front.
// Threads and lifetimes: one thread, one connection.
// Failure: `reached` or `answered` is not; `failure` has the words.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/log.h"
#include "mailer/lmtp/lmtp_client.h"
#include "mailer/settings/settings.h"
#include "mailer/store/connector.h"

namespace lmtpq::mailer {

struct ProbeResult {
  enum class Reached {
    kNothing,    // no connection
    kNonsense,   // something listens, but it is no LMTP server for us
    kUnsecured,  // one, but without TLS or a login as they are configured
    kStore,
  };
  Reached reached = Reached::kNothing;
  std::string failure;
  std::string peer;
  double connect_seconds = 0;
  Reply greeting;
  std::vector<Capabilities> offered;  // at first, in TLS, after the login: each time it was asked
  std::string settings;               // the sections that are for this destination
  bool in_tls = false;
  std::string tls_failure;  // why there is none at level `may`, though it was offered
  TlsFacts tls;             // also of a handshake that failed
  std::string mechanism;    // of the login; empty: none
  std::string user;
  unsigned layer_bits = 0;
  std::string session;
  std::optional<Reply> recipient;         // the answer to RCPT, when asked
  std::optional<Reply> with_ignorequota;  // the same with IGNOREQUOTA, where offered
};

ProbeResult probe(const Settings& settings, Dialer& dialer, const Log& log);

// Full, by the enhanced code: X.2.2 (RFC 3463).
bool over_quota(const Reply& reply);
const char* quota_words(const Reply& reply);
// False for the end of Cyrus's list, "Ok SESSIONID=<...>".
bool is_capability(const std::string& parameters);

// The store takes no mail from us as we are: MAIL or RCPT was answered by "log in first".
bool wants_login(const ProbeResult& result);

std::string describe(const ProbeResult& result, const std::string& recipient);
std::string to_json(const ProbeResult& result, const std::string& recipient);

}  // namespace lmtpq::mailer

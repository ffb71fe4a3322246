// What a store offers, and what it replies about one mailbox, without sending a message.
//
// probe() gathers the facts on one connection; describe() prints them for people (probe_text.cpp),
// to_json() for programs (probe_json.cpp). Failures are in the result: `reached` says how far the
// probe came, `failure` why it came no further.
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
    kNothing,        // no connection
    kProtocolError,  // a connection, but no LMTP server that accepts us
    kUnsecured,      // an LMTP server, but not the TLS or the login that is configured
    kStore,
  };
  Reached reached = Reached::kNothing;
  std::string failure;
  std::string peer;
  double connect_seconds = 0;
  Reply greeting;
  std::vector<Capabilities> offered;  // the reply to each LHLO: first, in TLS, after the login
  std::string settings;               // the sections that apply to this destination
  bool in_tls = false;
  std::string tls_failure;  // at level `may`: why there is no TLS although it was offered
  TlsFacts tls;             // also of a handshake that failed
  std::string mechanism;    // of the login; empty: none
  std::string user;
  unsigned layer_bits = 0;
  std::string session;
  std::optional<Reply> recipient;         // to RCPT, if one was asked for
  std::optional<Reply> with_ignorequota;  // the same with IGNOREQUOTA, where offered
  TraceId trace;                          // sent to a store that offers TRACE
  std::string trace_reply;                // to it; without a reply: why there is none
};

ProbeResult probe(const Settings& settings, Dialer& dialer, const Log& log);

// Over quota by the enhanced status code alone.
const char* quota_words(const Reply& reply);
// False for the last line of Cyrus's list, "Ok SESSIONID=<...>".
bool is_capability(const std::string& parameters);

// The store accepts no mail without a login: it answered MAIL or RCPT so.
bool asks_for_login(const ProbeResult& result);

std::string describe(const ProbeResult& result, const std::string& recipient);
std::string to_json(const ProbeResult& result, const std::string& recipient);

}  // namespace lmtpq::mailer

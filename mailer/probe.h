// What a store offers, and what it replies about one mailbox, without sending a message.
//
// probe() gathers the facts on one connection; describe() prints them for people (probe_text.cpp),
// to_json() for programs (probe_json.cpp), monitor() for a monitoring system (probe_monitor.cpp).
// Failures are in the result: `reached` says how far the
// probe came, `failure` why it came no further.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/log/log.h"
#include "mailer/lmtp/lmtp_client.h"
#include "mailer/settings/settings.h"
#include "mailer/store/connector.h"

namespace lmtpq::mailer {

struct ProbeResult {
  enum class Reached {
    kNothing,        // no connection
    kProtocolError,  // a connection, but no server that accepts us
    kUnsecured,      // a server, but not the TLS or the login that is configured
    kStore,
  };
  Reached reached = Reached::kNothing;
  // Of kStore: the connection ended before everything was asked and answered, or something that is
  // required is not offered.
  std::string failure;
  bool timed_out = false;    // the failure came when the time limit of the probe had passed
  bool own_trouble = false;  // the failure is that a file of ours cannot be used
  std::string peer;
  double connect_seconds = 0;
  Reply greeting;
  std::vector<Capabilities> offered;  // the reply to each LHLO: first, in TLS, after the login
  std::string settings;               // the sections that apply to this destination
  bool in_tls = false;
  bool tls_first = false;   // TLS was spoken from the start (tls-wrapper)
  std::string tls_failure;  // at level `may`: why there is no TLS although it was offered
  TlsFacts tls;             // also of a handshake that failed
  std::string mechanism;    // of the login; empty: none
  std::string user;
  unsigned layer_bits = 0;
  std::string session;
  // To RCPT, or to the MAIL before it, if a mailbox was asked for. Without a reply: code 0 and the
  // reason.
  std::optional<Answer> recipient;
  std::optional<Answer> with_ignorequota;  // the same with IGNOREQUOTA, where offered
  TraceId trace;                           // sent to a store that offers TRACE
  std::string trace_reply;                 // to it; without a reply: why there is none

  // Something is known of who answered: there is something to describe.
  bool met() const { return !offered.empty() || !tls.chain.empty(); }
};

ProbeResult probe(const Settings& settings, Dialer& dialer, const Log& log);
// The failure of a probe whose time has passed: "not done within 10 s (--timeout)".
std::string too_slow(std::chrono::milliseconds timeout);

// Neither no reply nor 421, with which a store ends the connection, says anything about the
// mailbox.
bool answered(const Reply& reply);
const char* quota_words(const Answer& answer);
// The reply as the store sent it, or why there is none.
std::string reply_words(const Reply& reply);
// False for the last line of Cyrus's list, "Ok SESSIONID=<...>".
bool is_capability(const std::string& parameters);

// sysexits(3): 0; 69 the store was not reached, or did not answer in time; 76 it did not secure the
// connection as configured, left a question unanswered, or replied to MAIL or RCPT that it wants a
// login.
int exit_status(const ProbeResult& result);

std::string describe(const ProbeResult& result, const std::string& recipient);
std::string to_json(const ProbeResult& result, const std::string& recipient);

// One line in the form of Nagios plugins, and their exit status. The line is printable ASCII, of
// bounded length, and `|` is in it only before the figures.
struct MonitorReport {
  enum Status { kOk, kWarning, kCritical, kUnknown };
  Status status = kOk;
  std::string line;
};
MonitorReport monitor(const ProbeResult& result, const Settings& settings);
// Of an error in our options, files or secrets.
MonitorReport monitor_error(const std::string& error);

}  // namespace lmtpq::mailer

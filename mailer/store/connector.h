// The way to one store: from its DEST to a connection that is ready for mail, as configured.
//
// What it is: the policy of opening. Dial, PROXY header, greeting, STARTTLS by the level, login;
//   and what is kept of one connection for the next (the TLS session).
// What it does not know: messages, other stores, how often it is tried.
// Called by: ConnectionPool (one for each store) and probe.
// Threads and lifetimes: may be used by several threads; store, settings, dialer and log must
//   outlive it.
// Failure: a Connection without `ready`: the trouble and its words; one warning in the log is the
//   caller's. At level encrypt and above nothing is ever said in clear but LHLO and STARTTLS.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "common/log.h"
#include "mailer/io/dialer.h"
#include "mailer/message/outcome.h"
#include "mailer/settings/settings.h"
#include "mailer/store/upstream.h"

namespace lmtpq::mailer {

struct Connection {
  std::unique_ptr<Upstream> upstream;  // also of one that is not ready, for probe; nullptr: no dial
  bool ready = false;
  Trouble trouble = Trouble::kUnreachable;
  std::string failure;
  std::string without_tls;  // why, where the level is `may` and TLS was offered
  TlsFacts failed_tls;      // what became known of it
};

class Connector {
 public:
  Connector(const Store& store, const Settings& process, Dialer& dialer, const Log& log);

  Connection connect(Deadline latest);
  const Store& store() const { return store_; }
  // Reads the TLS files anew, for the connections from now on. ConfigError: they cannot be used,
  // and what was read of them before stays.
  void renew_tls();

 private:
  enum class InClear { kUnlessRefused, kRightAway };
  Connection attempt(Deadline latest, InClear clear);
  std::shared_ptr<Tls> read_tls() const;
  std::shared_ptr<Tls> tls();
  bool secure(Connection& connection, Deadline latest);
  bool log_in(Connection& connection, Deadline latest);
  void warn(const std::string& failure, const char* effect) const;
  std::string doubt(const Upstream& upstream) const;
  SaslSurroundings surroundings(const Upstream& upstream) const;
  void log_security(const Upstream& upstream) const;

  const Store& store_;
  const Settings& process_;
  Dialer& dialer_;
  const Log& log_;
  std::mutex mutex_;
  std::shared_ptr<Tls> tls_;  // made at the first use
};

// For the log: "none", or "TLSv1.3/verified".
std::string tls_words(const Upstream& upstream);

}  // namespace lmtpq::mailer

// Opens a connection to one store, as the settings say: dial, PROXY header, TLS if the store speaks
// it from the start, greeting, STARTTLS, login.
//
// ConnectionPool and probe use it. It keeps the TLS session of one connection for the next. At
// level encrypt and above, nothing but LHLO and STARTTLS is ever sent without TLS.
//
// On a fiber, TLS handshakes and logins run in another thread: they load libraries, read files, and
// take a millisecond or more of CPU.
//
// A Connection that is not ready has a trouble and a failure text; the caller logs them. Only a
// store that turns out to be this process itself is logged here, once until it is another. May be
// used by several threads. Store, settings, dialer and log must outlive it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "common/log/log.h"
#include "mailer/io/dialer.h"
#include "mailer/message/outcome.h"
#include "mailer/settings/settings.h"
#include "mailer/store/upstream.h"

namespace lmtpq::mailer {

struct Connection {
  // Also set after a failure, for probe; nullptr if the dial failed.
  std::unique_ptr<Upstream> upstream;
  bool ready = false;
  Trouble trouble = Trouble::kUnreachable;
  std::string failure;
  bool unresolved = false;  // as in Dialled
  StageTimes spent;         // of all attempts
  // At level `may`: why there is no TLS although it was offered, and what the handshake showed.
  std::string without_tls;
  TlsFacts failed_tls;
};

// A connection that is being made: another thread can cut it, in whatever stage it is.
class Opening {
 public:
  void cut();
  bool is_cut() const { return cut_; }
  // Of Connector: the bytes of the connection, until it is ready or has failed; nullptr: none.
  void use(Channel* channel);

 private:
  std::atomic<bool> cut_ = false;
  std::mutex mutex_;
  Channel* channel_ = nullptr;
};

class Connector {
 public:
  Connector(const Store& store, const Settings& process, Dialer& dialer, const Log& log);

  enum class Resort {
    kLast,
    kOthers,  // another store can take the mail: this one gets kShortPatience to greet us
  };
  static constexpr std::chrono::seconds kShortPatience{10};
  Connection connect(Deadline latest, Resort resort, Opening& opening);
  Connection connect(Deadline latest, Resort resort = Resort::kLast);  // that nobody cuts
  const Store& store() const { return store_; }
  const Log& log() const { return log_; }
  // TLS from the files as they are now, for use(). nullptr: the store needs none. Throws
  // ConfigError if they cannot be used.
  std::shared_ptr<Tls> read_tls() const;
  // For later connections. True: the trust is another than before (Tls::trust()).
  bool use(std::shared_ptr<Tls> tls);

 private:
  enum class StartTls { kIfOffered, kSkip };
  Connection attempt(Deadline latest, Resort resort, Opening& opening, StartTls start_tls);
  std::shared_ptr<Tls> make_tls() const;
  std::shared_ptr<Tls> tls();
  bool wrap(Connection& connection, Deadline latest);
  bool secure(Connection& connection, Deadline latest);
  bool log_in(Connection& connection, Deadline latest);
  bool is_other_process(Connection& connection);
  void warn_without_tls(const std::string& failure, const char* effect) const;
  std::string hint(const Upstream& upstream) const;
  SaslSurroundings surroundings(const Upstream& upstream) const;
  void log_security(const Upstream& upstream) const;

  const Store& store_;
  const Settings& process_;
  Dialer& dialer_;
  const Log& log_;
  std::mutex mutex_;
  std::shared_ptr<Tls> tls_;          // created at the first use
  std::atomic<bool> looped_ = false;  // it is this process; that was logged
};

// For the log: "none", or "TLSv1.3/verified".
std::string tls_summary(const Upstream& upstream);

}  // namespace lmtpq::mailer

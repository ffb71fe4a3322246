#include "mailer/store/connector.h"

#include "mailer/io/proxy_protocol.h"
#include "mailer/io/secure_loader.h"
#include "mailer/io/waiting.h"

namespace lmtpq::mailer {
namespace {

bool is_smtp(const Store& store) {
  return store.destination.protocol == Destination::Protocol::kSmtp;
}

// For as long as an Opening may cut the channel.
class InUse {
 public:
  InUse(Opening& opening, Channel& channel) : opening_(opening) { opening_.use(&channel); }
  ~InUse() { opening_.use(nullptr); }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;

 private:
  Opening& opening_;
};

}  // namespace

void Opening::cut() {
  const std::lock_guard lock(mutex_);
  cut_ = true;
  if (channel_ != nullptr) {
    channel_->cut();
  }
}

void Opening::use(Channel* channel) {
  const std::lock_guard lock(mutex_);
  channel_ = channel;
  if (cut_ && channel != nullptr) {
    channel->cut();
  }
}

Connector::Connector(const Store& store, const Settings& process, Dialer& dialer, const Log& log)
    : store_(store), process_(process), dialer_(dialer), log_(log) {}

Connection Connector::connect(Deadline latest, Resort resort) {
  Opening opening;
  return connect(latest, resort, opening);
}

Connection Connector::connect(Deadline latest, Resort resort, Opening& opening) {
  Connection connection = attempt(latest, resort, opening, StartTls::kIfOffered);
  // At level `may`, a store whose TLS is broken gets its mail without TLS.
  if (connection.trouble == Trouble::kTls && store_.settings.tls.level == TlsLevel::kMay &&
      !opening.is_cut()) {
    warn_without_tls(connection.failure, "connecting again without TLS");
    const std::string why = connection.failure;
    const TlsFacts facts = connection.upstream->tls_facts();
    const StageTimes spent = connection.spent;
    connection = Connection();  // closed first: the store may allow one connection only
    connection = attempt(latest, resort, opening, StartTls::kSkip);
    connection.spent += spent;
    connection.without_tls = why;
    connection.failed_tls = facts;
  }
  if (connection.ready) {
    log_security(*connection.upstream);
  }
  return connection;
}

void Connector::warn_without_tls(const std::string& failure, const char* effect) const {
  log_.warning(Record("connection-insecure")
                   .add("destination", store_.destination.text)
                   .add("error", failure)
                   .add("effect", effect));
}

Connection Connector::attempt(Deadline latest, Resort resort, Opening& opening,
                              StartTls start_tls) {
  Connection made;
  Lap lap;
  Dialled dialled = dialer_.dial(store_.destination, store_.settings.timeouts.connect,
                                 {latest, [&] { return opening.is_cut(); }});
  made.spent[Stage::kConnect] = lap();
  if (!dialled.channel) {
    made.failure = dialled.failure;
    made.unresolved = dialled.unresolved;
    return made;
  }
  Channel& channel = *dialled.channel;  // it stays, in whatever layers
  made.upstream = std::make_unique<Upstream>(std::move(dialled.channel), dialled.peer,
                                             store_.settings, process_, log_,
                                             is_smtp(store_) ? Protocol::kSmtp : Protocol::kLmtp);
  Upstream& upstream = *made.upstream;
  const InUse in_use(opening, channel);
  try {
    if (store_.settings.proxy_protocol == ProxyProtocol::kV2) {
      upstream.precede(proxy_v2_header(dialled.source, dialled.target),
                       std::min(Clock::now() + store_.settings.timeouts.lhlo, latest));
    }
    const Deadline greeted =
        resort == Resort::kLast ? latest : std::min(Clock::now() + kShortPatience, latest);
    const bool wrapped = wrap(made, greeted);
    made.spent[Stage::kTls] = lap();
    const bool opened = wrapped && upstream.open(greeted) && is_other_process(made);
    made.spent[Stage::kLhlo] = lap();
    const bool secured = opened && (start_tls == StartTls::kSkip || secure(made, latest));
    made.spent[Stage::kTls] += lap();
    made.ready = secured && log_in(made, latest);
    made.spent[Stage::kAuth] = lap();
  } catch (const ConfigError& error) {
    made.trouble = Trouble::kConfiguration;
    made.failure = error.what();
  }
  if (made.ready) {
    made.failure.clear();
  } else {
    // The reason comes first: mailq(1) shows about 60 characters of a reply.
    const std::string why = made.failure.empty() ? upstream.client().reason() : made.failure;
    made.failure = why + hint(upstream) + " (" + upstream.peer() + ")";
  }
  return made;
}

// Found at the greeting, before a message could wait for itself.
bool Connector::is_other_process(Connection& connection) {
  if (!is_own(connection.upstream->client().greeting())) {
    looped_ = false;
    return true;
  }
  connection.trouble = Trouble::kLoop;
  connection.failure = "the store is this lmtpq itself";
  if (!looped_.exchange(true)) {
    log_.error(Record("store-is-own-listener")
                   .add("destination", store_.destination.text)
                   .add("error", connection.failure)
                   .add("effect", "its mail is deferred")
                   .add("remedy", "correct the destination, or where its address leads"));
  }
  return false;
}

std::shared_ptr<Tls> Connector::make_tls() const {
  const bool named = store_.destination.family == Destination::Family::kInet;
  return secure_library().make_tls(store_.settings.tls,
                                   named ? store_.destination.host : std::string());
}

std::shared_ptr<Tls> Connector::read_tls() const {
  if (!store_.wants_tls()) {
    return nullptr;
  }
  std::shared_ptr<Tls> made = make_tls();
  made->connect();  // reads the files
  return made;
}

bool Connector::use(std::shared_ptr<Tls> tls) {
  const std::string trust = tls == nullptr ? "" : tls->trust();
  {
    const std::lock_guard lock(mutex_);
    tls_.swap(tls);  // so that the old one is destroyed without the lock
  }
  return tls != nullptr && tls->trust() != trust;
}

std::shared_ptr<Tls> Connector::tls() {
  const std::lock_guard lock(mutex_);
  if (!tls_) {
    tls_ = make_tls();
  }
  return tls_;
}

bool Connector::wrap(Connection& connection, Deadline latest) {
  bool good = true;
  if (store_.settings.tls.wrapper) {
    run_blocking([&] { good = connection.upstream->begin_with_tls(tls(), latest); });
  }
  if (!good) {
    connection.trouble = Trouble::kTls;
  }
  return good;
}

bool Connector::secure(Connection& connection, Deadline latest) {
  Upstream& upstream = *connection.upstream;
  if (!store_.wants_tls() || upstream.tls() != nullptr) {
    return true;
  }
  const bool must = store_.settings.tls.level >= TlsLevel::kEncrypt;
  if (!upstream.client().capabilities().offers("STARTTLS")) {
    if (must) {
      connection.trouble = Trouble::kTls;
      connection.failure =
          "STARTTLS is not offered, and --tls=" +
          std::string(kTlsLevelNames[static_cast<int>(store_.settings.tls.level)]) + " requires it";
    }
    return !must;
  }
  bool started = false;
  run_blocking([&] { started = upstream.start_tls(tls(), latest); });
  if (started) {
    return true;
  }
  if (upstream.client().state() == ClientState::kReady && !must) {
    connection.without_tls = "STARTTLS refused: " + upstream.client().refusal()->summary();
    warn_without_tls(connection.without_tls, "continuing without TLS");
    return true;
  }
  connection.trouble = Trouble::kTls;
  if (upstream.client().refusal()) {
    connection.failure = "STARTTLS refused: " + upstream.client().refusal()->summary();
  }
  return false;
}

// Over a unix socket Cyrus requires no login, although it offers EXTERNAL there. So a login that is
// not possible is no failure there.
bool Connector::log_in(Connection& connection, Deadline latest) {
  const AuthSettings& auth = store_.settings.auth;
  Upstream& upstream = *connection.upstream;
  if (!auth.wanted()) {
    return true;
  }
  const bool optional = store_.destination.family == Destination::Family::kUnix;
  connection.trouble = Trouble::kLogin;
  if (!upstream.client().capabilities().offers("AUTH")) {
    connection.failure = "a login is configured, but AUTH is not offered";
    return optional;
  }
  bool logged_in = false;
  run_blocking([&] {
    logged_in =
        upstream.log_in(secure_library().make_sasl(auth, store_.login, surroundings(upstream)),
                        store_.login, latest);
  });
  if (logged_in) {
    return true;
  }
  connection.failure = upstream.login_failure();
  if (!auth.password_file.empty() && store_.login.password.empty()) {
    connection.failure = auth.password_file + " has no line for " + store_.destination.text +
                         (auth.user.empty() ? "" : " and " + auth.user) + "; " + connection.failure;
  }
  return optional && upstream.client().state() == ClientState::kReady &&
         !upstream.client().refusal();
}

// A store that does not expect the PROXY header fails at the greeting; one that expects TLS or that
// header says nothing and waits.
std::string Connector::hint(const Upstream& upstream) const {
  if (!upstream.offered().empty()) {
    return "";
  }
  if (store_.settings.proxy_protocol == ProxyProtocol::kV2) {
    return "; proxy-protocol is v2: does the store expect it (lmtpd -H -U 1)?";
  }
  const bool may_wait_for_us = store_.destination.family == Destination::Family::kInet &&
                               !store_.settings.tls.wrapper && !upstream.heard_from();
  return may_wait_for_us
             ? "; it sent nothing: does it wait for TLS (tls-wrapper = yes) or for a PROXY header "
               "(proxy-protocol = v2)?"
             : "";
}

SaslSurroundings Connector::surroundings(const Upstream& upstream) const {
  SaslSurroundings made;
  made.service = is_smtp(store_) ? "smtp" : "lmtp";
  const TlsSettings& tls = store_.settings.tls;
  const bool unix_socket = store_.destination.family == Destination::Family::kUnix;
  made.server = !tls.name.empty() ? tls.name
                : unix_socket     ? store_.settings.hostname
                                  : store_.destination.host;
  made.external_bits = static_cast<unsigned>(upstream.tls_facts().bits);
  // There are ciphers without encryption.
  made.confidential = unix_socket || (upstream.tls() != nullptr && made.external_bits > 0);
  if (upstream.tls() != nullptr) {
    if (upstream.tls()->showed_certificate()) {
      made.external_identity = store_.login.user.empty() ? "certificate" : store_.login.user;
    }
    if (store_.settings.auth.channel_binding != "none") {
      made.binding_type = store_.settings.auth.channel_binding;
      made.binding = upstream.tls()->channel_binding(made.binding_type);
    }
  }
  return made;
}

void Connector::log_security(const Upstream& upstream) const {
  if (upstream.tls() == nullptr && upstream.mechanism().empty()) {
    return;
  }
  const TlsFacts& facts = upstream.tls_facts();
  Record record("connection-secured");
  record.add("relay", upstream.peer()).add("tls", tls_summary(upstream));
  if (upstream.tls() != nullptr) {
    record.add("cipher", facts.cipher)
        .add("verification", facts.verification)
        .add("resumed", facts.resumed ? "yes" : "no");
  }
  record.add("auth", upstream.mechanism().empty() ? "none" : upstream.mechanism());
  if (!upstream.mechanism().empty()) {
    if (!store_.login.user.empty()) {
      record.add("auth-user", store_.login.user);
    }
    record.add("layer", static_cast<long long>(upstream.layer_bits()));
  }
  log_.info(record);
}

std::string tls_summary(const Upstream& upstream) {
  const TlsFacts& facts = upstream.tls_facts();
  return upstream.tls() == nullptr
             ? "none"
             : facts.protocol + "/" + kTlsTrustNames[static_cast<int>(facts.trust)];
}

}  // namespace lmtpq::mailer

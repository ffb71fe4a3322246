// One connection to a store: a Channel with an LMTP client, and a time limit for every wait.
//
// It moves bytes between the two, adds TLS and the login's security layer, and sends messages. It
// does not decide when TLS or a login is used (Connector) or what a reply means (outcome.h).
//
// One thread or fiber at a time, except cut(). The settings must outlive it. Destruction closes the
// connection. After a failure client().state() is kBroken with a reason, and dot_sent() tells
// whether the store may have filed the message.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "mailer/io/channel.h"
#include "mailer/io/sasl.h"
#include "mailer/io/tls.h"
#include "mailer/io/transcript.h"
#include "mailer/lmtp/lmtp_client.h"
#include "mailer/message/message_spool.h"
#include "mailer/settings/settings.h"
#include "mailer/store/stage_times.h"

namespace lmtpq::mailer {

class Upstream {
 public:
  Upstream(std::unique_ptr<Channel> channel, std::string peer, const StoreSettings& settings,
           const Settings& process, const Log& log, Protocol protocol = Protocol::kLmtp);

  // Waits for the greeting and sends LHLO. False: client().reason() says why.
  bool open(Deadline latest);
  // Before open(): the handshake of a store that speaks TLS from the start (tls-wrapper). False:
  // client().reason() says why. Throws as start_tls() does.
  bool begin_with_tls(std::shared_ptr<Tls> tls, Deadline latest);
  // STARTTLS, the handshake, and LHLO again. False: refused (client().state() is kReady, and there
  // is a refusal()) or broken. Throws ConfigError if the TLS files cannot be used.
  bool start_tls(std::shared_ptr<Tls> tls, Deadline latest);
  // AUTH, its security layer if any, and LHLO again. False as above, and login_failure() says why;
  // kReady without a refusal(): no mechanism fits, and nothing was sent.
  bool log_in(std::unique_ptr<SaslExchange> sasl, const Login& login, Deadline latest);
  // Whether the state allows another transaction, and the store's limit for one connection as well
  // (RFC 9422, MAILMAX).
  bool reusable() const;
  // Whether an idle connection can be used. A byte or a close that came while it was idle means no.
  bool alive();
  // Of an idle connection that is not alive: what the store did to it, for the log.
  std::string why_dead();
  // Breaks the connection at once. May be called from another thread.
  void cut() {
    cut_ = true;
    channel_->cut();
  }
  // One transaction (upstream_message.cpp). The end of data is not sent after `latest_dot`, and the
  // replies are awaited until `latest_answer`. From the end of data on, `before_wait` is called
  // before each wait: client().answers() may have more of them.
  void transact(const Transaction& transaction, const MessageSpool& body, Deadline latest_dot,
                Deadline latest_answer, const std::function<void()>& before_wait = nullptr);
  // A transaction without a message, for probe: of kAsk or kTrace. Returns after the replies.
  void ask(const Transaction& transaction, Deadline latest);
  // Sends QUIT and awaits the reply, at most until `latest`.
  void quit(Deadline latest = Deadline::max());

  // Writes bytes before the LMTP dialogue: the PROXY header.
  bool precede(std::string_view bytes, Deadline deadline);

  // Whether the store has sent anything.
  bool heard_from() const { return last_input_ != Clock::time_point(); }
  const LmtpClient& client() const { return client_; }
  // What the store offered after each LHLO: the first, within TLS, after the login.
  const std::vector<Capabilities>& offered() const { return offered_; }
  const TlsConnection* tls() const { return tls_; }            // nullptr: no TLS
  const TlsFacts& tls_facts() const { return tls_facts_; }     // also of a handshake that failed
  const std::string& mechanism() const { return mechanism_; }  // of the login; empty: no login
  unsigned layer_bits() const { return layer_bits_; }          // 0: no security layer
  const std::string& login_failure() const { return login_failure_; }
  const StoreSettings& settings() const { return settings_; }
  const std::string& peer() const { return peer_; }
  bool dot_sent() const { return dot_sent_; }
  // Envelope, data and reply of the transaction that began at `begun`, the current or the last one,
  // up to `now`.
  StageTimes stages(Clock::time_point begun, Clock::time_point now) const;
  // The connection ended in place of the reply to TRACE, by the store's act: no time limit passed.
  bool ended_at_trace() const { return client_.lost_at() == Awaited::kTrace && !timed_out_; }
  const std::string& spool_failure() const { return spool_failure_; }
  int transactions() const { return transactions_; }
  Clock::time_point dot_time() const { return dot_time_; }

 private:
  bool await_offer(Deadline latest);
  bool secure_channel(std::unique_ptr<TlsConnection> connection, Deadline latest);
  bool exchange_login(SaslExchange& sasl, const Secret& password, Deadline latest);
  void converse_while(ClientState state, Deadline latest,
                      const std::function<void()>& before_wait = nullptr);
  void send_message(const MessageSpool& body, Deadline latest);
  class MessageWriter;
  void note_message_sent(std::uint64_t bytes);
  void exchange_commands(Deadline deadline);
  void exchange_message(std::string_view& out, Deadline deadline);
  void take_input(const std::string& in, IoStatus status, std::optional<Awaited> awaited);
  Deadline reply_deadline();
  std::chrono::milliseconds reply_timeout() const;

  std::shared_ptr<Tls> secured_by_;  // its connection is within channel_
  std::unique_ptr<Channel> channel_;
  std::string peer_;
  const StoreSettings& settings_;
  LmtpClient client_;
  Transcript transcript_;
  std::vector<Capabilities> offered_;
  const TlsConnection* tls_ = nullptr;  // within channel_
  TlsFacts tls_facts_;
  std::string mechanism_;
  unsigned layer_bits_ = 0;
  std::string login_failure_;
  std::size_t timed_reply_ = 0;  // the number of the reply that reply_deadline_ is for
  Deadline reply_deadline_;
  bool dot_sent_ = false;  // completely
  Clock::time_point dot_time_;
  Clock::time_point envelope_end_;
  bool timed_out_ = false;
  std::atomic<bool> cut_ = false;
  Clock::time_point last_input_;  // when the store last sent something
  std::string spool_failure_;
  int transactions_ = 0;
};

}  // namespace lmtpq::mailer

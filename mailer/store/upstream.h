// One connection to a store: a Channel and the LMTP client on it, under deadlines.
//
// What it is: it moves bytes between the two, keeps every wait bounded, puts TLS and a login's
//   security layer in between, and streams the message.
// What it does not know: other connections, retries, when TLS and a login are wanted, what an
//   answer means for the mail, the log.
// Called by: Connector opens it; delivery and probe use it; kept by delivery between messages.
// Threads and lifetimes: one thread; the settings must outlive it. Destruction closes.
// Failure: client().state() is kBroken with a reason. dot_sent() then tells whether the store may
//   have filed the message.
#pragma once

#include <memory>
#include <string>

#include "mailer/io/channel.h"
#include "mailer/io/sasl.h"
#include "mailer/io/tls.h"
#include "mailer/io/transcript.h"
#include "mailer/lmtp/data.h"
#include "mailer/lmtp/lmtp_client.h"
#include "mailer/message/body.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

class Upstream {
 public:
  Upstream(std::unique_ptr<Channel> channel, std::string peer, const StoreSettings& settings,
           const Settings& process, const Log& log);

  // Hears the greeting, says LHLO. False: client().reason().
  bool open(Deadline latest);
  // STARTTLS, the handshake, LHLO anew. False: refused (client().state() is kReady, and there is a
  // refusal()) or broken. ConfigError: the TLS files cannot be used.
  bool start_tls(std::shared_ptr<Tls> tls, Deadline latest);
  // AUTH, the security layer that comes of it, LHLO anew. False as above, for login_failure();
  // kReady without a refusal(): no mechanism fits, and nothing was said.
  bool log_in(std::unique_ptr<SaslExchange> sasl, const Login& login, Deadline latest);
  // May another transaction run on it? Not when the store's number for one connection is used up
  // (RFC 9422, MAILMAX).
  bool reusable() const;
  // Before another transaction on a kept connection: a byte or a close that came while it was idle
  // means it is dead.
  bool alive();
  // Ends it at once, from another thread.
  void cut() { channel_->cut(); }
  // One transaction; upstream_message.cpp says in which form the message goes. The dot does not go
  // out after `latest_dot`; the answers are waited for until `latest_answer`.
  void transact(Transaction transaction, const Body& body, Deadline latest_dot,
                Deadline latest_answer);
  // MAIL and RCPT without a message, for probe: returns when they are answered.
  void ask(Transaction transaction, Deadline latest);
  // The goodbye is waited for until `latest` at most.
  void quit(Deadline latest = Deadline::max());

  // Writes bytes that come before LMTP, a PROXY header.
  bool precede(std::string_view bytes, Deadline deadline);

  const LmtpClient& client() const { return client_; }
  // What the server offered, each time it was asked: at first, in TLS, after the login.
  const std::vector<Capabilities>& offered() const { return offered_; }
  const TlsConnection* tls() const { return tls_; }            // nullptr: in clear
  const TlsFacts& tls_facts() const { return tls_facts_; }     // also of a handshake that failed
  const std::string& mechanism() const { return mechanism_; }  // of the login; empty: none
  unsigned layer_bits() const { return layer_bits_; }          // 0: no security layer
  const std::string& login_failure() const { return login_failure_; }
  const StoreSettings& settings() const { return settings_; }
  const std::string& peer() const { return peer_; }
  bool dot_sent() const { return dot_sent_; }
  const std::string& spool_failure() const { return spool_failure_; }
  int transactions() const { return transactions_; }
  Clock::time_point dot_time() const { return dot_time_; }

 private:
  bool hear_offer(Deadline latest);
  bool exchange_login(SaslExchange& sasl, const Secret& password, Deadline latest);
  void converse_while(ClientState state, Deadline latest);
  MessageForm form_for(const Body& body) const;
  void send_message(const Body& body, Deadline latest);
  class MessageWriter;
  void message_out(std::uint64_t bytes);
  void exchange_commands(Deadline deadline);
  void exchange_message(std::string_view& out, Deadline deadline);
  void hear(const std::string& in, IoStatus status, std::optional<Awaited> awaited);
  Deadline reply_deadline();
  std::chrono::milliseconds patience() const;
  std::chrono::milliseconds refusal_grace() const;

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
  std::size_t timed_reply_ = 0;  // the reply that reply_deadline_ is for
  Deadline reply_deadline_;
  std::uint64_t message_size_ = 0;
  bool dot_sent_ = false;  // or the last byte of BDAT LAST
  Clock::time_point dot_time_;
  Clock::time_point heard_;  // when the store last said something
  std::string spool_failure_;
  int transactions_ = 0;
};

}  // namespace lmtpq::mailer

// The part of Upstream before the first transaction: greeting, LHLO, TLS, login.

#include <algorithm>

#include "mailer/store/upstream.h"

namespace lmtpq::mailer {

bool Upstream::precede(std::string_view bytes, Deadline deadline) {
  std::string in;
  const bool written = write_all(*channel_, bytes, in, deadline);
  if (settings_.tls.wrapper && !in.empty()) {
    // An attacker could inject it, and we would read it as said within TLS.
    client_.lost("the store spoke before TLS began: is tls-wrapper right?");
  } else {
    client_.receive(in);
  }
  return written;
}

bool Upstream::open(Deadline latest) { return await_offer(latest); }

bool Upstream::await_offer(Deadline latest) {
  converse_while(ClientState::kOpening, latest);
  if (client_.state() != ClientState::kReady) {
    return false;
  }
  offered_.push_back(client_.capabilities());
  return true;
}

bool Upstream::begin_with_tls(std::shared_ptr<Tls> tls, Deadline latest) {
  std::unique_ptr<TlsConnection> connection = tls->connect();
  secured_by_ = std::move(tls);
  return client_.state() == ClientState::kOpening && secure_channel(std::move(connection), latest);
}

bool Upstream::start_tls(std::shared_ptr<Tls> tls, Deadline latest) {
  std::unique_ptr<TlsConnection> connection = tls->connect();
  secured_by_ = std::move(tls);
  client_.start_tls();
  converse_while(ClientState::kOpening, latest);
  if (client_.state() != ClientState::kHandshake) {
    return false;
  }
  if (!secure_channel(std::move(connection), latest)) {
    return false;
  }
  client_.start_over();
  return await_offer(latest);
}

bool Upstream::secure_channel(std::unique_ptr<TlsConnection> connection, Deadline latest) {
  std::string failure;
  std::string in_clear;
  const bool done =
      shake_hands(*connection, *channel_,
                  std::min(Clock::now() + settings_.timeouts.starttls, latest), failure, &in_clear);
  tls_facts_ = connection->facts();
  if (settings_.tls.wrapper && !in_clear.empty()) {
    failure = "the store does not speak TLS from the start: set tls-wrapper = no; it sent \"" +
              printable(in_clear) + '"';
  }
  if (!done) {
    client_.lost(failure);
    transcript_.ended(client_.reason());
    return false;
  }
  transcript_.note(tls_facts_.protocol + " " + tls_facts_.cipher);
  tls_ = connection.get();
  channel_ = std::make_unique<LayeredChannel>(std::move(channel_), std::move(connection));
  return true;
}

bool Upstream::log_in(std::unique_ptr<SaslExchange> sasl, const Login& login, Deadline latest) {
  const auto& offers = client_.capabilities().all();
  const auto auth = std::find_if(offers.begin(), offers.end(),
                                 [](const auto& offer) { return offer.first == "AUTH"; });
  if (!sasl->start(auth == offers.end() ? "" : auth->second)) {
    login_failure_ = "login: " + sasl->failure();
    return false;
  }
  transcript_.note("AUTH " + sasl->mechanism() + " (dialogue not shown)");
  if (!exchange_login(*sasl, login.password, latest)) {
    const std::string who = login.user.empty() ? "" : " as " + login.user;
    login_failure_ = "login by " + sasl->mechanism() + who + ": " + login_failure_;
    transcript_.note(login_failure_);
    return false;
  }
  mechanism_ = sasl->mechanism();
  transcript_.note("AUTH " + mechanism_ + ": done");
  layer_bits_ = sasl->layer_bits();
  if (layer_bits_ > 0) {
    SaslExchange& exchange = *sasl;
    channel_ =
        std::make_unique<LayeredChannel>(std::move(channel_), exchange.into_layer(std::move(sasl)));
  }
  client_.start_over();
  return await_offer(latest);
}

// True if both the store and the mechanism report success.
bool Upstream::exchange_login(SaslExchange& sasl, const Secret& password, Deadline latest) {
  client_.authenticate(sasl.mechanism(), sasl.initial(), password.text());
  converse_while(ClientState::kOpening, latest);
  while (client_.state() == ClientState::kChallenged) {
    if (!login_failure_.empty()) {
      client_.lost("AUTH: " + login_failure_);  // we cancelled, and the store goes on
      return false;
    }
    auto answer = sasl.answer(client_.challenge());
    if (!answer) {
      login_failure_ = sasl.failure();
    }
    client_.respond(answer);
    if (answer) {
      wipe(*answer);
    }
    converse_while(ClientState::kOpening, latest);
  }
  if (client_.state() == ClientState::kLoggedIn) {
    if (login_failure_.empty() && sasl.succeed()) {
      return true;
    }
    // A server that accepts the login without the proof that the mechanism requires may be any
    // host.
    login_failure_ = login_failure_.empty() ? sasl.failure() : login_failure_;
    client_.lost("AUTH: " + login_failure_);
  } else if (login_failure_.empty()) {
    login_failure_ =
        client_.refusal() ? "refused: " + client_.refusal()->summary() : client_.reason();
  }
  return false;
}

}  // namespace lmtpq::mailer

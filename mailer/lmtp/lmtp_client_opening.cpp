// LmtpClient's opening: greeting, LHLO, STARTTLS, AUTH.

#include "common/tag/base64.h"
#include "mailer/lmtp/command.h"
#include "mailer/lmtp/lmtp_client.h"

namespace lmtpq::mailer {
namespace {

// RFC 4954 section 4: a longer initial response is sent after the server's empty challenge.
constexpr std::size_t kMaxAuthLine = 512;

// The server does not know the command at all.
bool unknown_command(const Reply& reply) { return reply.code >= 500 && reply.code <= 504; }

}  // namespace

void LmtpClient::say_hello() {
  send({Awaited::kLhlo, protocol_ == Protocol::kSmtp ? ehlo_line(name_) : lhlo_line(name_)});
}

void LmtpClient::handle_greeting(const Reply& reply) {
  if (!reply.positive()) {
    broken_by(reply, "greeting refused");
    return;
  }
  greeting_ = reply;
  say_hello();
}

void LmtpClient::handle_lhlo(const Reply& reply) {
  if (!reply.positive()) {
    broken_by(reply, std::string(name_of(Awaited::kLhlo)) + " refused");
    if (unknown_command(reply)) {
      reason_ += protocol_ == Protocol::kSmtp
                     ? "; a store that speaks LMTP is inet:HOST, not smtp:HOST"
                     : "; a store that speaks SMTP is smtp:HOST, not inet:HOST";
    }
    return;
  }
  capabilities_ = Capabilities(reply);
  if (protocol_ == Protocol::kSmtp) {
    capabilities_.ignore("IGNOREQUOTA");
    capabilities_.ignore("TRACE");
  }
  state_ = ClientState::kReady;
}

// The rest of an incomplete reply could come in TLS or after a login, and would be read together
// with its beginning.
bool LmtpClient::amid_reply(const char* before) {
  if (parser_.amid()) {
    out_of_step(std::string("incomplete reply before ") + before);
    return true;
  }
  return false;
}

void LmtpClient::start_tls() {
  if (amid_reply("STARTTLS")) {
    return;
  }
  refusal_.reset();
  state_ = ClientState::kOpening;
  send({Awaited::kStarttls, "STARTTLS\r\n"});
}

void LmtpClient::handle_starttls(const Reply& reply) {
  if (reply.code == 220) {
    state_ = ClientState::kHandshake;
  } else if (reply.negative()) {
    refusal_ = reply;
    state_ = ClientState::kReady;
  } else {
    broken_by(reply, "invalid reply to STARTTLS");
  }
}

void LmtpClient::authenticate(std::string_view mechanism, const std::optional<std::string>& initial,
                              std::string_view password) {
  if (amid_reply("AUTH")) {
    return;
  }
  refusal_.reset();
  auth_.emplace(password);
  state_ = ClientState::kOpening;
  parser_.expect_challenges(true);
  std::string line = "AUTH " + std::string(mechanism);
  if (initial) {
    auth_->remember(*initial);
    const std::string coded = initial->empty() ? "=" : base64(*initial);
    if (line.size() + 1 + coded.size() + 2 <= kMaxAuthLine) {
      line += ' ' + coded;
    } else {
      auth_->late_initial = initial;
    }
  }
  send({Awaited::kAuth, line + "\r\n"});
}

void LmtpClient::respond(const std::optional<std::string>& answer) {
  if (amid_reply("the answer to AUTH's challenge")) {
    return;
  }
  if (answer) {
    auth_->remember(*answer);
  }
  state_ = ClientState::kOpening;
  send({Awaited::kAuth, (answer ? base64(*answer) : "*") + "\r\n"});
}

// A wrong password gets 501 from Cyrus and 535 from others: any refusal means the same.
void LmtpClient::handle_auth(const Reply& reply) {
  if (reply.code == 334) {
    handle_challenge(reply);
    return;
  }
  auth_.reset();
  parser_.expect_challenges(false);
  if (reply.code == 235) {
    state_ = ClientState::kLoggedIn;
  } else if (reply.negative()) {
    refusal_ = reply;
    state_ = ClientState::kReady;
  } else {
    broken_by(reply, "invalid reply to AUTH");
  }
}

void LmtpClient::handle_challenge(const Reply& reply) {
  const auto decoded = reply.lines.size() == 1 ? from_base64(reply.lines.front()) : std::nullopt;
  if (!decoded) {
    out_of_step("the challenge is not valid base64");
  } else if (auth_->late_initial) {
    const std::optional<std::string> initial = std::move(auth_->late_initial);
    auth_->late_initial.reset();
    respond(initial);
  } else {
    auth_->challenge = *decoded;
    state_ = ClientState::kChallenged;
  }
}

void LmtpClient::start_over() {
  capabilities_ = Capabilities();
  session_.clear();
  state_ = ClientState::kOpening;
  say_hello();
}

}  // namespace lmtpq::mailer

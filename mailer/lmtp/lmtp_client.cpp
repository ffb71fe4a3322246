#include "mailer/lmtp/lmtp_client.h"

#include <algorithm>

namespace lmtpq::mailer {
namespace {

// Of what the store said, enough to name the fault. Each recipient's outcome has a copy of it.
constexpr std::size_t kMaxReason = 1024;

// An alert or a handshake record (RFC 8446 section 5.1). No reply begins so.
bool begins_tls(std::string_view bytes) {
  return (bytes[0] == '\x15' || bytes[0] == '\x16') && (bytes.size() == 1 || bytes[1] == '\x03');
}

}  // namespace

LmtpClient::LmtpClient(std::string name, std::size_t window, Protocol protocol)
    : name_(std::move(name)), window_(window), protocol_(protocol) {
  expected_.push_back({Awaited::kGreeting});
}

std::optional<Awaited> LmtpClient::awaited() const {
  return expected_.empty() ? std::nullopt : std::optional(expected_.front().reply);
}

const char* LmtpClient::name_of(Awaited reply) const {
  return reply == Awaited::kLhlo && protocol_ == Protocol::kSmtp
             ? "EHLO"
             : kAwaitedNames[static_cast<int>(reply)];
}

void LmtpClient::lost(std::string reason) {
  if (state_ != ClientState::kBroken) {
    state_ = ClientState::kBroken;
    reason_ = capped(std::move(reason), kMaxReason);
    lost_at_ = awaited();
  }
  expected_.clear();
  unsent_.clear();
}

void LmtpClient::broken_by(const Reply& reply, std::string reason) {
  breaking_reply_ = reply;
  lost(std::move(reason) + ": " + reply.summary());
}

void LmtpClient::out_of_step(std::string reason) {
  if (!transaction_.envelope_done) {
    transaction_.answers.assign(transaction_.answers.size(), std::nullopt);
  }
  lost(std::move(reason));
}

void LmtpClient::send(const Command& command) {
  output_.unwritten += command.line;
  output_.end += command.line.size();
  expected_.push_back({command.reply, command.recipient, output_.end});
}

// Sends what may be sent now; ends the envelope when nothing is left to send or to receive.
void LmtpClient::pump() {
  while (!unsent_.empty() && expected_.size() < window()) {
    if (pointless(unsent_.front())) {
      unsent_.clear();
      break;
    }
    send(unsent_.front());
    unsent_.pop_front();
  }
  if (state_ == ClientState::kEnvelope && unsent_.empty() && expected_.empty()) {
    end_transaction();
  }
}

// Once every recipient has an answer (a refused MAIL answers all), the rest of the transaction need
// not be sent; the next one starts with RSET.
bool LmtpClient::pointless(const Command& command) const {
  return (command.reply == Awaited::kRcpt || command.reply == Awaited::kData) &&
         transaction_.all_answered();
}

void LmtpClient::receive(std::string_view bytes) {
  while (!bytes.empty() && state_ != ClientState::kBroken) {
    if (awaited() == Awaited::kGreeting && !parser_.amid() && begins_tls(bytes)) {
      out_of_step("the store seems to speak TLS from the start: set tls-wrapper = yes");
      return;
    }
    if (state_ == ClientState::kHandshake) {
      // An attacker between us and the server could inject them, and we would read them as said
      // within TLS.
      out_of_step("unencrypted bytes after the reply to STARTTLS");
      return;
    }
    if (state_ == ClientState::kLoggedIn) {
      out_of_step("bytes after the last reply to AUTH");
      return;
    }
    const ReplyParser::Result result = parser_.parse(bytes);
    if (result == ReplyParser::Result::kBad) {
      // Within AUTH these bytes may be our password, whole or in part.
      const std::string& why = parser_.bad_reason();
      out_of_step("protocol error: " + (confidential() ? why.substr(0, why.find(':')) : why));
    } else if (result == ReplyParser::Result::kReply) {
      ++replies_;
      handle(auth_ ? auth_->withhold(parser_.take()) : parser_.take());
    }
  }
}

void LmtpClient::handle(const Reply& reply) {
  std::string session = session_id(reply);
  if (!session.empty()) {
    session_ = std::move(session);
  }
  if (expected_.empty()) {
    handle_unexpected(reply);
    return;
  }
  const Expected expected = expected_.front();
  expected_.pop_front();
  if (expected.command_end > output_.written()) {
    out_of_step("reply received before its command was sent: " + reply.summary());
    return;
  }
  if (reply.code == 421 && expected.reply != Awaited::kFinal) {
    goodbye_ = Answer{expected.reply, reply};
    broken_by(reply, "the store closes the connection");
    lost_at_ = expected.reply;
    return;
  }
  dispatch(expected, reply);
  if (state_ == ClientState::kEnvelope) {
    pump();
  }
}

void LmtpClient::dispatch(const Expected& expected, const Reply& reply) {
  switch (expected.reply) {
    case Awaited::kGreeting:
      return handle_greeting(reply);
    case Awaited::kLhlo:
      return handle_lhlo(reply);
    case Awaited::kStarttls:
      return handle_starttls(reply);
    case Awaited::kAuth:
      return handle_auth(reply);
    case Awaited::kRset:
      return handle_rset(reply);
    case Awaited::kTrace:
      return handle_trace(reply);
    case Awaited::kMail:
      return handle_mail(reply);
    case Awaited::kRcpt:
      return handle_rcpt(expected.recipient, reply);
    case Awaited::kData:
      return handle_data(reply);
    case Awaited::kFinal:
      return handle_final(expected.recipient, reply);
    case Awaited::kQuit:
      return lost("closed by QUIT");
  }
}

// RFC 2033 allows no reply before the end of data. We accept a refusal then (a full disk, a message
// over the limit), but never a success.
void LmtpClient::handle_unexpected(const Reply& reply) {
  if (reply.code == 421) {
    broken_by(reply, "the store closes the connection");
  } else if (state_ == ClientState::kBody && reply.negative()) {
    transaction_.answer_remaining(Awaited::kData, reply);
    broken_by(reply, "refused before the end of data");
  } else {
    out_of_step("unexpected reply: " + reply.summary());
  }
}

void LmtpClient::quit() { send({Awaited::kQuit, "QUIT\r\n"}); }

}  // namespace lmtpq::mailer

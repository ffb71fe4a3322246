// From the greeting to the first transaction: LHLO, STARTTLS, AUTH.

#include <algorithm>

#include "common/tag/base64.h"
#include "mailer/lmtp/command.h"
#include "mailer/lmtp/lmtp_client.h"

namespace lmtpq::mailer {
namespace {

// RFC 4954 section 4: a longer initial response waits for the server's empty challenge.
constexpr std::size_t kMaxAuthLine = 512;

// A server may repeat a part of what it got: this many bytes of it are enough.
constexpr std::size_t kRun = 12;

bool repeats(std::string_view text, std::string_view secret) {
  if (secret.size() <= kRun) {
    return text.find(secret) != std::string_view::npos;
  }
  for (std::size_t i = 0; i + kRun <= secret.size(); i += kRun) {
    if (text.find(secret.substr(i, kRun)) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

void LmtpClient::handle_opening(Awaited what, const Reply& reply) {
  if (!reply.positive()) {
    broken_by(reply, std::string(kAwaitedNames[static_cast<int>(what)]) + " refused");
  } else if (what == Awaited::kGreeting) {
    greeting_ = reply;
    send({Awaited::kLhlo, 0, lhlo_line(name_), 0});
  } else {
    capabilities_ = Capabilities(reply);
    state_ = ClientState::kReady;
  }
}

// The end of half a line could come in TLS or behind a login, and would be read together with it.
bool LmtpClient::half_heard(const char* before) {
  if (parser_.amid()) {
    out_of_step(std::string("half a reply before ") + before);
    return true;
  }
  return false;
}

void LmtpClient::start_tls() {
  if (half_heard("STARTTLS")) {
    return;
  }
  refusal_.reset();
  state_ = ClientState::kOpening;
  send({Awaited::kStarttls, 0, "STARTTLS\r\n", 0});
}

void LmtpClient::handle_starttls(const Reply& reply) {
  if (reply.code == 220) {
    state_ = ClientState::kHandshake;
  } else if (reply.klass() == 4 || reply.klass() == 5) {
    refusal_ = reply;
    state_ = ClientState::kReady;
  } else {
    broken_by(reply, "nonsense in answer to STARTTLS");
  }
}

// Of the answers in base64 any run counts. The password is looked for as it would be printed.
void LmtpClient::say_in_confidence(const std::string& bytes) {
  if (bytes.size() >= kRun) {
    said_.emplace_back(base64(bytes));
  }
}

// Some servers repeat a command that they refuse, and their text goes into logs and bounces. Only
// within AUTH: elsewhere a text with our password in it may be an outsider's guess, which must not
// be told from others.
Reply LmtpClient::veiled(Reply reply) const {
  const auto tells = [&](const std::string& line) {
    return std::any_of(said_.begin(), said_.end(),
                       [&](const Secret& secret) { return repeats(line, secret.text()); });
  };
  if (reply.code != 334 && std::any_of(reply.lines.begin(), reply.lines.end(), tells)) {
    reply.lines = {"(text withheld: it repeats our login)"};
    reply.detailed.clear();
  }
  return reply;
}

void LmtpClient::authenticate(std::string_view mechanism, const std::optional<std::string>& initial,
                              std::string_view password) {
  if (half_heard("AUTH")) {
    return;
  }
  refusal_.reset();
  late_initial_.reset();
  said_.clear();
  if (!password.empty()) {
    said_.emplace_back(printable(password));
  }
  state_ = ClientState::kOpening;
  confidential_ = true;
  parser_.expect_challenges(true);
  std::string line = "AUTH " + std::string(mechanism);
  if (initial) {
    say_in_confidence(*initial);
    const std::string coded = initial->empty() ? "=" : base64(*initial);
    if (line.size() + 1 + coded.size() + 2 <= kMaxAuthLine) {
      line += ' ' + coded;
    } else {
      late_initial_ = initial;
    }
  }
  send({Awaited::kAuth, 0, line + "\r\n", 0});
}

void LmtpClient::respond(const std::optional<std::string>& answer) {
  if (half_heard("the answer to AUTH's challenge")) {
    return;
  }
  if (answer) {
    say_in_confidence(*answer);
  }
  state_ = ClientState::kOpening;
  send({Awaited::kAuth, 0, (answer ? base64(*answer) : "*") + "\r\n", 0});
}

// A mistaken password gets 501 from Cyrus and 535 from others: any refusal is just that.
void LmtpClient::handle_auth(const Reply& reply) {
  if (reply.code == 334) {
    const auto decoded =
        reply.lines.size() == 1 ? from_base64(reply.lines.front()) : std::optional<std::string>();
    if (!decoded) {
      out_of_step("a challenge that is no base64");
    } else if (late_initial_) {
      const std::optional<std::string> initial = std::move(late_initial_);
      late_initial_.reset();
      respond(initial);
    } else {
      challenge_ = *decoded;
      state_ = ClientState::kChallenged;
    }
    return;
  }
  confidential_ = false;
  said_.clear();
  parser_.expect_challenges(false);
  if (reply.code == 235) {
    state_ = ClientState::kLoggedIn;
  } else if (reply.klass() == 4 || reply.klass() == 5) {
    refusal_ = reply;
    state_ = ClientState::kReady;
  } else {
    broken_by(reply, "nonsense in answer to AUTH");
  }
}

void LmtpClient::start_over() {
  capabilities_ = Capabilities();
  session_.clear();
  state_ = ClientState::kOpening;
  send({Awaited::kLhlo, 0, lhlo_line(name_), 0});
}

}  // namespace lmtpq::mailer

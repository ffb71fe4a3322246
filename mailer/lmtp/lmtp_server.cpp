#include "mailer/lmtp/lmtp_server.h"

#include <algorithm>
#include <utility>

namespace lmtpq::mailer {
namespace {

// Enough for any address we accept and all parameters; Sendmail's own longest line is 2,048.
constexpr std::size_t kMaxInputLine = 4096;

constexpr unsigned in(ServerState state) { return 1u << static_cast<unsigned>(state); }
constexpr unsigned kBeforeData = in(ServerState::kGreeted) | in(ServerState::kReady) |
                                 in(ServerState::kMail) | in(ServerState::kRcpt);
constexpr unsigned kInTransaction = in(ServerState::kMail) | in(ServerState::kRcpt);

constexpr std::pair<Offer, std::string_view> kKeywords[] = {
    {Offer::kPipelining, "PIPELINING"},
    {Offer::kIgnoreQuota, "IGNOREQUOTA"},
    {Offer::kTrace, "TRACE"},
};

}  // namespace

// The whole dialogue: in which states each verb is allowed, and its handler.
struct LmtpServer::Rule {
  Verb verb;
  unsigned states;
  void (LmtpServer::*handler)(std::string_view);
  std::string_view remedy;                    // the reply if the verb comes in another state
  std::optional<Offer> offer = std::nullopt;  // if it is not offered, the verb is unknown
};

const LmtpServer::Rule LmtpServer::kRules[] = {
    {Verb::kLhlo, kBeforeData, &LmtpServer::lhlo, ""},
    {Verb::kHelo, kBeforeData, &LmtpServer::helo, ""},
    {Verb::kMail, in(ServerState::kReady), &LmtpServer::mail, "MAIL comes once, after LHLO"},
    {Verb::kRcpt, in(ServerState::kMail) | in(ServerState::kRcpt), &LmtpServer::rcpt,
     "MAIL comes before RCPT"},
    {Verb::kData, in(ServerState::kRcpt), &LmtpServer::data, "RCPT comes before DATA"},
    {Verb::kRset, kBeforeData, &LmtpServer::rset, ""},
    {Verb::kNoop, kBeforeData, &LmtpServer::noop, ""},
    {Verb::kVrfy, kBeforeData, &LmtpServer::vrfy, ""},
    {Verb::kQuit, kBeforeData, &LmtpServer::quit, ""},
    {Verb::kTrace, kBeforeData, &LmtpServer::trace, "", Offer::kTrace},
    {Verb::kHttp, kBeforeData, &LmtpServer::http, ""},
};

LmtpServer::LmtpServer(ServerLimits limits) : limits_(std::move(limits)), memory_(limits_.memory) {
  output_ = "220 " + limits_.name + " LMTP lmtpq" + greeting_end(limits_.mark) + "\r\n";
}

ServerEvent LmtpServer::advance(std::string_view& input) {
  for (;;) {
    if (state_ == ServerState::kClosed) {
      return ServerEvent::kClosed;
    }
    if (state_ == ServerState::kDeciding) {
      return ServerEvent::kMessage;
    }
    if (state_ == ServerState::kData) {
      const bool ended = take_data(input);
      if (!body_.empty()) {
        return ServerEvent::kBody;
      }
      if (!ended && input.empty()) {
        return ServerEvent::kNeedInput;
      }
    } else if (line_.take(input)) {
      handle(line_);
      line_.text.clear();
      line_.too_long = false;
    } else {
      return ServerEvent::kNeedInput;
    }
  }
}

// True: the message is complete.
bool LmtpServer::take_data(std::string_view& input) {
  if (!decoder_->decode(input, body_)) {
    return false;
  }
  state_ = ServerState::kDeciding;
  return true;
}

bool LmtpServer::Line::take(std::string_view& input) {
  const std::size_t newline = input.find('\n');
  const std::string_view piece = input.substr(0, newline);
  const std::size_t room = kMaxInputLine - text.size();
  too_long = too_long || piece.size() > room;
  text.append(piece.substr(0, room));
  if (newline == std::string_view::npos) {
    input = {};
    return false;
  }
  input.remove_prefix(newline + 1);
  if (!text.empty() && text.back() == '\r') {
    text.pop_back();
  }
  return true;
}

void LmtpServer::handle(const Line& line) {
  if (ending_ && (line.too_long || parse_command(line.text).verb != Verb::kQuit)) {
    close({4, 3, 2}, "Shutting down; try again later");
  } else if (line.too_long) {
    handle_too_long(line.text);
  } else {
    handle_command(line.text);
  }
}

void LmtpServer::handle_too_long(std::string_view line) {
  if (count_idle_command()) {
    return;
  }
  if (parse_command(line).verb == Verb::kRcpt) {
    reply(553, {5, 1, 3}, "Address too long");
  } else {
    reply(500, {5, 5, 2}, "Line too long");
  }
}

void LmtpServer::handle_command(std::string_view line) {
  const CommandLine parsed = parse_command(line);
  const auto* const rule = std::find_if(std::begin(kRules), std::end(kRules),
                                        [&](const Rule& r) { return r.verb == parsed.verb; });
  // A message may have any number of recipients, and those beyond our limit are deferred only: RCPT
  // is not an idle command.
  const unsigned now = in(state_);
  const bool onward = (parsed.verb == Verb::kRcpt && (now & kInTransaction) != 0) ||
                      (parsed.verb == Verb::kData && state_ == ServerState::kRcpt);
  if (!onward && count_idle_command()) {
    return;
  }
  if (rule == std::end(kRules) || (rule->offer && !limits_.offers.has(*rule->offer))) {
    reply(500, {5, 5, 1}, "Command not recognized");
  } else if ((rule->states & now) == 0) {
    reply(503, {5, 5, 1}, rule->remedy);
  } else if (!object(parsed.verb)) {
    (this->*rule->handler)(parsed.argument);
  }
}

// True: it was one too many, and the session was ended.
bool LmtpServer::count_idle_command() {
  ++idle_commands_;
  if (limits_.max_idle_commands == 0 || idle_commands_ <= limits_.max_idle_commands) {
    return false;
  }
  close({4, 7, 0}, "Too many commands without a message");
  return true;
}

// True: the session was ended. RSET too: Sendmail tests a connection by it, and makes a new one
// after 421, where it would defer the mail after 421 to MAIL.
bool LmtpServer::object(Verb verb) {
  const bool judged = verb == Verb::kLhlo || verb == Verb::kMail || verb == Verb::kRset;
  const auto objection = judged && limits_.judge ? limits_.judge() : std::nullopt;
  if (objection) {
    close(objection->status, objection->text);
  }
  return objection.has_value();
}

// False: it was refused. Sendmail defers the message, or this recipient only, and goes on.
bool LmtpServer::take_memory(std::size_t bytes) {
  const bool taken = memory_.take(bytes, MemoryBudget::Use::kMessage);
  if (!taken) {
    reply(452, {4, 3, 1}, "Too many messages in memory, try again later");
  }
  return taken;
}

void LmtpServer::reply(int code, const EnhancedStatus& status, std::string_view text) {
  output_ += reply_line(code, status, text);
}

void LmtpServer::refuse(const Refusal& refusal) {
  reply(refusal.code, refusal.status, refusal.text);
}

void LmtpServer::lhlo(std::string_view name) {
  if (name.empty()) {
    reply(501, {5, 5, 4}, "Expected LHLO and a name");
    return;
  }
  end_transaction();
  output_ += "250-" + limits_.name + "\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n";
  for (const auto& [offer, keyword] : kKeywords) {
    if (limits_.offers.has(offer)) {
      output_ += "250-" + std::string(keyword) + "\r\n";
    }
  }
  if (limits_.max_size) {
    output_ += "250-SIZE " + std::to_string(*limits_.max_size) + "\r\n";
  }
  if (!limits_.mark.empty()) {
    output_ += "250-XLMTPQ\r\n";
  }
  if (limits_.offers.has(Offer::kLimits)) {
    output_ += "250-LIMITS RCPTMAX=" + std::to_string(limits_.max_recipients) + "\r\n";
  }
  output_ += "250 SMTPUTF8\r\n";
  state_ = ServerState::kReady;
  awaits_mail_ = awaits_mail_ || !draining_;
}

void LmtpServer::helo(std::string_view) { reply(500, {5, 5, 1}, "This is LMTP; use LHLO"); }

void LmtpServer::mail(std::string_view argument) {
  if (draining_ && !awaits_mail_) {
    close({4, 3, 2}, "Shutting down; try again later");
    return;
  }
  const auto parsed = parse_mail(argument);
  if (const auto* const refusal = std::get_if<Refusal>(&parsed)) {
    refuse(*refusal);
    return;
  }
  const auto& mail = std::get<MailArguments>(parsed);
  if (limits_.max_size && mail.size.value_or(0) > *limits_.max_size) {
    reply(552, {5, 3, 4}, "Message is larger than " + std::to_string(*limits_.max_size) + " bytes");
    return;
  }
  if (!mail.hops.empty() && limits_.mark.empty()) {
    refuse(kBadParameter);
    return;
  }
  if (loops(mail) || !take_memory(MemoryCost::kMessage)) {
    return;
  }
  envelope_ = {mail.sender, mail.body, mail.charset, {}, {}, mail.hops};
  if (!limits_.mark.empty()) {
    envelope_.hops.add(limits_.mark);
  }
  state_ = ServerState::kMail;
  awaits_mail_ = false;
  reply(250, {2, 1, 0}, "Sender ok");
}

// Refused here, before a connection to a store is needed: those may all be in use by deliveries
// that wait for this reply.
bool LmtpServer::loops(const MailArguments& mail) {
  if (mail.hops.contains(limits_.mark)) {
    reply(451, {4, 4, 6}, "Mail loop: this listener has had the message before");
    return true;
  }
  if (mail.hops.count() >= Hops::kMaxHops) {
    reply(451, {4, 4, 6},
          "Mail loop: the message has passed " + std::to_string(mail.hops.count()) + " lmtpqs");
    return true;
  }
  return false;
}

void LmtpServer::rcpt(std::string_view argument) {
  const auto parsed = parse_rcpt(argument);
  if (const auto* const refusal = std::get_if<Refusal>(&parsed)) {
    if (!count_idle_command()) {
      refuse(*refusal);
    }
    return;
  }
  const auto& recipient = std::get<Recipient>(parsed);
  if (recipient.ignore_quota && !limits_.offers.has(Offer::kIgnoreQuota)) {
    refuse(kBadParameter);
    return;
  }
  if (envelope_.recipients.size() >= limits_.max_recipients) {
    reply(452, {4, 5, 3}, "Too many recipients in one transaction");
    return;
  }
  if (envelope_.recipients.size() >= MemoryCost::kFewRecipients &&
      !take_memory(MemoryCost::recipient(recipient.mailbox.text().size()))) {
    return;
  }
  envelope_.recipients.push_back(recipient);
  state_ = ServerState::kRcpt;
  reply(250, {2, 1, 5}, "Recipient ok");
}

void LmtpServer::data(std::string_view) {
  decoder_.emplace(limits_.text);
  envelope_.trace = trace_;
  idle_commands_ = 0;
  state_ = ServerState::kData;
  output_ += "354 End data with <CR><LF>.<CR><LF>\r\n";
}

void LmtpServer::rset(std::string_view) {
  if (draining_) {
    close({4, 3, 2}, "Shutting down; try again later");
    return;
  }
  end_transaction();
  trace_ = {};
  if (state_ != ServerState::kGreeted) {
    state_ = ServerState::kReady;
    awaits_mail_ = true;
  }
  reply(250, {2, 0, 0}, "Ok");
}

void LmtpServer::end_transaction() {
  envelope_ = {};
  memory_.give_all_back();
}

void LmtpServer::noop(std::string_view) { reply(250, {2, 0, 0}, "Ok"); }

void LmtpServer::vrfy(std::string_view) {
  reply(252, {2, 5, 2}, "Cannot verify; only delivery shows it");
}

void LmtpServer::quit(std::string_view) {
  reply(221, {2, 0, 0}, "Bye");
  state_ = ServerState::kClosed;
}

void LmtpServer::trace(std::string_view id) {
  const auto parsed = TraceId::parse(id);
  if (!parsed) {
    reply(501, {5, 5, 4}, "Invalid TRACE id.");
    return;
  }
  trace_ = *parsed;
  reply(250, {2, 0, 0}, "Ok TRACEID=<" + trace_.text() + ">");
}

// A program on this host that was made to ask for a page here, such as a browser, must not deliver
// by the lines of its request.
void LmtpServer::http(std::string_view) { close({4, 7, 0}, "This is LMTP, not HTTP"); }

void LmtpServer::close(const EnhancedStatus& status, std::string_view text) {
  if (const unsigned now = in(state_); (now & kBeforeData) != 0) {
    reply(421, status, text);
    state_ = ServerState::kClosed;
  }
}

Envelope LmtpServer::answered() {
  decoder_.reset();
  memory_.give_all_back();
  state_ = ServerState::kReady;
  return std::exchange(envelope_, {});
}

}  // namespace lmtpq::mailer

#include "mailer/store/upstream.h"

#include <algorithm>

namespace lmtpq::mailer {
namespace {

// Cyrus refuses an oversize message with one reply for all recipients. After this long without
// another the store is asked whether there will be more.
constexpr std::chrono::seconds kRefusalGrace{2};
// Of a connection that was idle. A store that never stops sending must not hold us.
constexpr int kMaxLastReads = 8;
constexpr const char* kNoReply = "the store sent bytes that are no reply while it was idle";

bool listed(const std::vector<std::string>& names, const std::string& peer) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return name == "all" || peer.find(name) != std::string::npos;
  });
}

}  // namespace

Upstream::Upstream(std::unique_ptr<Channel> channel, std::string peer,
                   const StoreSettings& settings, const Settings& process, const Log& log,
                   Protocol protocol)
    : channel_(std::move(channel)),
      peer_(std::move(peer)),
      settings_(settings),
      client_(settings.hostname, settings.pipelining ? LmtpClient::kPipelineWindow : 1, protocol),
      transcript_(process.transcript_dir, listed(process.debug_peers, peer_), peer_, log) {}

bool Upstream::reusable() const {
  const auto& most = client_.capabilities().mail_max();
  return client_.reusable() && (!most || static_cast<std::size_t>(transactions_) < *most);
}

bool Upstream::alive() { return reusable() && channel_->quiet(); }

// Reads what the store sent last, which may be a 421, and its end.
std::string Upstream::why_dead() {
  for (int round = 0; round < kMaxLastReads && client_.state() != ClientState::kBroken; ++round) {
    std::string in;
    std::string_view nothing;
    const IoStatus status = channel_->exchange(nothing, in, Clock::now());
    take_input(in, status, std::nullopt);
  }
  return client_.state() == ClientState::kBroken ? client_.reason() : kNoReply;
}

StageTimes Upstream::stages(Clock::time_point begun, Clock::time_point now) const {
  StageTimes spent;
  const Clock::time_point envelope_end = envelope_end_ >= begun ? envelope_end_ : now;
  const Clock::time_point data_end = dot_time_ >= begun ? dot_time_ : now;
  spent[Stage::kEnvelope] = envelope_end - begun;
  spent[Stage::kData] = data_end - envelope_end;
  spent[Stage::kReply] = now - data_end;
  return spent;
}

void Upstream::transact(const Transaction& transaction, const MessageSpool& body,
                        Deadline latest_dot, Deadline latest_answer,
                        const std::function<void()>& before_wait) {
  dot_sent_ = false;
  ++transactions_;
  client_.begin(transaction);
  converse_while(ClientState::kEnvelope, latest_dot);
  envelope_end_ = Clock::now();
  if (client_.state() == ClientState::kBody) {
    send_message(body, latest_dot);
  }
  converse_while(ClientState::kFinal, latest_answer, before_wait);
}

void Upstream::ask(const Transaction& transaction, Deadline latest) {
  client_.begin(transaction);
  converse_while(ClientState::kEnvelope, latest);
}

void Upstream::quit(Deadline latest) {
  client_.quit();
  const Deadline deadline = std::min(Clock::now() + settings_.timeouts.quit, latest);
  do {
    exchange_commands(deadline);
  } while (client_.awaited() && Clock::now() < deadline);
  transcript_.ended("closed by us");
}

void Upstream::converse_while(ClientState state, Deadline latest,
                              const std::function<void()>& before_wait) {
  timed_reply_ = client_.replies() + 1;
  while (client_.state() == state) {
    if (before_wait) {
      before_wait();
    }
    exchange_commands(std::min(reply_deadline(), latest));
  }
}

// The timer starts again after each complete reply, not after a part of one, so that a store that
// sends single bytes gets no more time than a silent one.
Deadline Upstream::reply_deadline() {
  if (timed_reply_ != client_.replies()) {
    timed_reply_ = client_.replies();
    reply_deadline_ = Clock::now() + reply_timeout();
  }
  return reply_deadline_;
}

std::chrono::milliseconds Upstream::reply_timeout() const {
  const StoreTimeouts& t = settings_.timeouts;
  switch (client_.awaited().value_or(Awaited::kQuit)) {
    case Awaited::kGreeting:
    case Awaited::kLhlo:
      return t.lhlo;
    case Awaited::kStarttls:
      return t.starttls;
    case Awaited::kAuth:
      return t.auth;
    case Awaited::kRset:
    case Awaited::kTrace:
      return t.rset;
    case Awaited::kMail:
      return t.mail;
    case Awaited::kRcpt:
      return t.rcpt;
    case Awaited::kData:
      return t.data_init;
    case Awaited::kFinal:
      return client_.message_refused()
                 ? std::min<std::chrono::milliseconds>(kRefusalGrace, t.data_done)
                 : t.data_done;
    case Awaited::kQuit:
      break;
  }
  return t.quit;
}

void Upstream::exchange_commands(Deadline deadline) {
  const auto awaited = client_.awaited();
  std::string in;
  std::string_view out = client_.output();
  const IoStatus status = channel_->exchange(out, in, deadline);
  const std::size_t written = client_.output().size() - out.size();
  if (!client_.confidential()) {
    transcript_.sent(std::string_view(client_.output()).substr(0, written));
  }
  client_.output().erase(0, written);
  const std::size_t replies = client_.replies();
  take_input(in, status, awaited);
  // A store that keeps sending bytes, but never a complete reply, times out too.
  if (status == IoStatus::kProgress && written == 0 && client_.replies() == replies &&
      Clock::now() >= deadline) {
    take_input({}, IoStatus::kTimeout, awaited);
  }
}

void Upstream::exchange_message(std::string_view& out, Deadline deadline) {
  std::string in;
  const IoStatus status = channel_->exchange(out, in, deadline);
  take_input(in, status, std::nullopt);
}

void Upstream::take_input(const std::string& in, IoStatus status, std::optional<Awaited> awaited) {
  if (!client_.confidential()) {
    transcript_.received(in);
  }
  client_.receive(in);
  if (!in.empty()) {
    last_input_ = Clock::now();
  }
  if (status == IoStatus::kProgress) {
    return;
  }
  const std::string when =
      awaited ? std::string(" before the reply to ") + client_.name_of(*awaited)
      : client_.state() == ClientState::kReady ? " while it was idle"
                                               : " in the middle of the message";
  if (status == IoStatus::kTimeout && client_.message_refused()) {
    client_.quit_after_refusal();
    timed_reply_ = client_.replies() + 1;
    return;
  }
  if (status == IoStatus::kTimeout && !awaited && client_.state() == ClientState::kReady) {
    client_.lost(kNoReply);  // in why_dead(), which does not wait: something has come
  } else if (status == IoStatus::kTimeout) {
    timed_out_ = true;
    client_.lost("timed out" + when);
  } else {
    client_.lost((cut_ ? "lmtpq ended the connection to stop" : channel_->failure()) + when);
  }
  transcript_.ended(client_.reason());
}

}  // namespace lmtpq::mailer

// A store that does what the input says, over TLS, a login and transactions: end of data counts as
// sent exactly when the store took it; no recipient is delivered that the store did not accept
// after it, and no answer changes; a broken connection gets no further byte; what is kept of
// replies is bounded; and no log shows a password that the store learned from us.
//
// The first byte chooses, by its bits: no pipelining, ESMTP, TLS, a login, its security layer, a
// mechanism that speaks first (and TLS from the start), and the number of recipients. The lines
// after it are those of scripted_peer.h. The handshake of TLS ends with `;` and fails with `!`. The
// login's mechanism is TOY: it cancels at the challenge `no`, and wants `proof` as the last one.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/tag/base64.h"
#include "mailer/lines/dot_stuffing.h"
#include "mailer/lmtp/command.h"
#include "mailer/message/outcome.h"
#include "mailer/store/upstream.h"
#include "tests/fuzz/scripted_peer.h"

namespace {

using namespace lmtpq;
using namespace lmtpq::mailer;
using fuzz::check;

constexpr std::string_view kPassword = "correct-horse-battery";
constexpr std::size_t kMaxChallenges = 4;

// Leaves the bytes as they are; a byte 4 is its closing message.
class ToyLayer : public TlsConnection {
 public:
  std::optional<std::size_t> seal(std::string_view plain, std::string& sealed) override {
    const std::string_view piece = plain.substr(0, 1000);
    sealed += piece;
    return piece.size();
  }
  bool open(std::string_view sealed, std::string& plain, std::string&) override {
    held_ += sealed;
    const std::size_t end = held_.find('\4');
    plain += ended_ ? "" : held_.substr(0, end);
    ended_ = ended_ || end != std::string::npos;
    held_.clear();
    return true;
  }
  std::string ending() const override { return ended_ ? "closed" : "truncated"; }
  bool ended() const override { return ended_; }
  const std::string& failure() const override { return failure_; }

  Handshake handshake(std::string_view received, std::string& to_send) override {
    to_send += std::exchange(greeted_, true) ? "" : "shake\n";
    held_ += received;
    const std::size_t end = held_.find_first_of(";!");
    if (shaken_ || end == std::string::npos) {
      return shaken_ ? Handshake::kDone : Handshake::kNeedMore;
    }
    if (held_[end] == '!') {
      failure_ = "not this store";
      return Handshake::kFailed;
    }
    shaken_ = true;
    held_.erase(0, end + 1);
    return Handshake::kDone;
  }
  const TlsFacts& facts() const override { return facts_; }
  bool showed_certificate() const override { return false; }
  std::string channel_binding(const std::string&) const override { return {}; }

 private:
  bool greeted_ = false;
  bool shaken_ = false;
  bool ended_ = false;
  std::string held_;
  std::string failure_;
  TlsFacts facts_;
};

class ToyTls : public Tls {
 public:
  std::unique_ptr<TlsConnection> connect() override { return std::make_unique<ToyLayer>(); }
  std::string trust() override { return ""; }
};

class ToyLogin : public SaslExchange {
 public:
  ToyLogin(bool speaks_first, unsigned bits) : bits_(bits) {
    if (speaks_first) {
      initial_ = secret();
    }
  }
  static std::string secret() { return "user " + std::string(kPassword); }

  bool start(std::string_view offered) override {
    failure_ = "no mechanism fits";
    return offered.find("TOY") != std::string_view::npos;
  }
  const std::string& mechanism() const override { return mechanism_; }
  const std::optional<std::string>& initial() const override { return initial_; }
  std::optional<std::string> answer(std::string_view challenge) override {
    check(!cancelled_ && challenge.size() <= 9216);
    proven_ = challenge == "proof";
    cancelled_ = challenge == "no" || ++challenges_ > kMaxChallenges;
    failure_ = "cancelled";
    return cancelled_ ? std::nullopt : std::optional(secret());
  }
  bool succeed() override {
    failure_ = "no proof";
    return proven_;
  }
  unsigned layer_bits() const override { return bits_; }
  std::unique_ptr<Layer> into_layer(std::unique_ptr<SaslExchange>) override {
    return std::make_unique<ToyLayer>();
  }
  const std::string& failure() const override { return failure_; }

 private:
  const std::string mechanism_ = "TOY";
  const unsigned bits_;
  std::optional<std::string> initial_;
  std::string failure_;
  std::size_t challenges_ = 0;
  bool cancelled_ = false;
  bool proven_ = false;
};

// What the store takes of the message at hand.
struct Watch {
  std::size_t begun = 0;                       // of what it took
  std::string wire;                            // the message
  std::optional<std::size_t> sent_before_end;  // what the store had sent when it had taken all
};

class Store : public fuzz::ScriptedPeer {
 public:
  Store(fuzz::Script& script, fuzz::Traffic& traffic, Watch& watch, fuzz::RecordingLog& log)
      : ScriptedPeer(script, traffic, IoStatus::kTimeout),
        traffic_(traffic),
        watch_(watch),
        log_(log) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline deadline) override {
    log_.take();
    const IoStatus status = ScriptedPeer::exchange(out, in, deadline);
    const std::string_view taken = std::string_view(traffic_.taken).substr(watch_.begun);
    if (!watch_.wire.empty() && !watch_.sent_before_end && taken.ends_with("\r\n" + watch_.wire)) {
      watch_.sent_before_end = traffic_.sent.size();
    }
    return status;
  }

 private:
  fuzz::Traffic& traffic_;
  Watch& watch_;
  fuzz::RecordingLog& log_;
};

StoreSettings store_settings(unsigned choice) {
  constexpr std::chrono::hours kLong{1};
  StoreSettings settings;
  settings.pipelining = choice % 2 == 0;
  settings.hostname = "here";
  settings.min_data_rate = 1;
  settings.timeouts = {kLong, kLong, kLong, kLong, kLong, kLong, kLong, kLong, kLong, kLong, kLong};
  settings.tls.wrapper = (choice & 0x24) == 0x24;
  return settings;
}

Settings process_settings() {
  Settings settings;
  settings.debug_peers = {"all"};
  return settings;
}

class Player {
 public:
  Player(unsigned choice, std::string_view input)
      : choice_(choice),
        script_(input),
        settings_(store_settings(choice)),
        upstream_(std::make_unique<Store>(script_, traffic_, watch_, log_), "store", settings_,
                  process_, log_.log(), choice % 4 > 1 ? Protocol::kSmtp : Protocol::kLmtp) {}

  void run() {
    if (open()) {
      for (int number = 0; number < 4 && !script_.over() && upstream_.alive(); ++number) {
        deliver(number);
      }
    }
    if (client().state() == ClientState::kReady && upstream_.reusable()) {
      upstream_.quit();
    }
    check_broken();
    check_private();
  }

 private:
  const LmtpClient& client() const { return upstream_.client(); }

  bool open() {
    const auto tls = std::make_shared<ToyTls>();
    if (settings_.tls.wrapper && !upstream_.begin_with_tls(tls, Deadline::max())) {
      return false;
    }
    if (!upstream_.open(Deadline::max())) {
      return false;
    }
    const bool starts_tls = (choice_ & 4) != 0 && !settings_.tls.wrapper;
    if (starts_tls && !upstream_.start_tls(tls, Deadline::max())) {
      return client().state() == ClientState::kReady;
    }
    check(!starts_tls || upstream_.offered().size() == 2);
    return (choice_ & 8) == 0 || log_in();
  }

  bool log_in() {
    sent_before_login_ = traffic_.sent.size();
    const Login login{"user", Secret(kPassword)};
    const unsigned bits = (choice_ & 16) != 0 ? 128 : 0;
    const bool done = upstream_.log_in(std::make_unique<ToyLogin>((choice_ & 32) != 0, bits), login,
                                       Deadline::max());
    // After this reply there is another LHLO, within log_in().
    sent_after_login_ =
        std::min(traffic_.sent.size(), traffic_.sent.find("\n235", sent_before_login_));
    check(done == upstream_.login_failure().empty() || client().state() == ClientState::kBroken);
    check(!done || upstream_.layer_bits() == bits);
    return done;
  }

  Transaction transaction(int number) const {
    Transaction made;
    made.trace = TraceId::parse("t" + std::to_string(number)).value();
    for (unsigned i = 0; i <= choice_ / 64; ++i) {
      made.recipients.push_back({Mailbox::parse('r' + std::to_string(i) + "@b").value(), i == 1});
    }
    return made;
  }

  void deliver(int number) {
    std::string text = "Subject: message " + std::to_string(number) + "\r\n\r\n.\r\n..two\r\n";
    for (int i = 0; number == 1 && i < 2000; ++i) {
      text += ". a line of a message that is longer than a piece\r\n";
    }
    MessageSpool body("/tmp", std::nullopt);
    body.append(text);
    watch_ = {traffic_.taken.size(), {}, std::nullopt};
    DataEncoder().encode(text, watch_.wire);
    watch_.wire += DataEncoder::kEnd;

    const Transaction asked = transaction(number);
    std::vector<std::optional<Answer>> known(asked.recipients.size());
    const auto keep = [&] {
      check(client().answers().size() == known.size());
      for (std::size_t i = 0; i < known.size(); ++i) {
        const auto& answer = client().answers()[i];
        check(!known[i] || (answer && answer->reply.code == known[i]->reply.code &&
                            answer->stage == known[i]->stage));
        known[i] = answer;
      }
    };
    upstream_.transact(asked, body, Deadline::max(), Deadline::max(), [&] {
      check(watch_.sent_before_end.has_value());
      keep();
    });
    keep();
    check(upstream_.dot_sent() == watch_.sent_before_end.has_value());
    check_answers(known);
    check_commands();
  }

  void check_answers(const std::vector<std::optional<Answer>>& answers) const {
    std::size_t positive = 0;
    std::size_t kept = 0;
    for (const auto& answer : answers) {
      check(answer || client().state() == ClientState::kBroken);
      if (!answer) {
        continue;
      }
      check(traffic_.sent.find(std::to_string(answer->reply.code)) != std::string::npos);
      check(!answer->reply.positive() || answer->stage == Awaited::kFinal);
      positive += answer->reply.positive() ? 1 : 0;
      const Outcome outcome = outcome_of(*answer);
      check((outcome.fate == Fate::kDelivered) == answer->reply.positive());
      const std::string line = reply_line(outcome, TraceId());
      check(line.size() <= kMaxReplyLine && line.ends_with("\r\n"));
      check(printable(line.substr(0, line.size() - 2)) + "\r\n" == line);
      kept += answer->reply.text().size();
    }
    check(positive == 0 || upstream_.dot_sent());
    check(positive <= accepted() * (smtp() ? answers.size() : 1));
    check(kept <= answers.size() * (ReplyParser::kMaxKept + 1024));
  }

  // Lines that may accept the message: those that the store sent after it had taken all of it.
  std::size_t accepted() const {
    if (!watch_.sent_before_end) {
      return 0;
    }
    const std::string after = '\n' + traffic_.sent.substr(*watch_.sent_before_end);
    std::size_t count = 0;
    for (std::size_t at = after.find("\n2"); at != after.npos; at = after.find("\n2", at + 1)) {
      ++count;
    }
    return count;
  }
  bool smtp() const { return choice_ % 4 > 1; }

  // What the store took before the message.
  void check_commands() const {
    std::string_view taken = std::string_view(traffic_.taken).substr(watch_.begun);
    taken = taken.substr(0, taken.find("Subject: message"));
    std::size_t recipients = 0;
    while (taken.find("\r\n") != std::string_view::npos) {
      const std::string_view line = taken.substr(0, taken.find("\r\n"));
      check(line.size() + 2 <= kMaxCommandLine && printable(line) == line);
      recipients += line.starts_with("RCPT TO:<") ? 1 : 0;
      check(!line.starts_with("TRACE ") || !smtp());
      taken.remove_prefix(line.size() + 2);
    }
    check(recipients <= choice_ / 64 + 1);
  }

  void check_broken() {
    if (client().state() != ClientState::kBroken) {
      return;
    }
    check(!client().reason().empty() && client().reason().size() <= 2048);
    const std::size_t taken = traffic_.taken.size();
    check(!upstream_.alive() && upstream_.why_dead() == client().reason());
    check(traffic_.taken.size() == taken);
  }

  // Of a store that repeats in AUTH what it got there.
  void check_private() {
    const std::string response = base64(ToyLogin::secret()).substr(0, 24);
    check_hidden(kPassword);
    if (traffic_.taken.find(response) != std::string::npos) {
      check_hidden(response);
    }
  }
  void check_hidden(std::string_view secret) {
    const auto has = [&](std::string_view text) { return text.find(secret) != text.npos; };
    const std::string_view sent = traffic_.sent;
    if (has(sent.substr(0, sent_before_login_)) || has(sent.substr(sent_after_login_))) {
      return;
    }
    check(!has(log_.text()) && !has(upstream_.login_failure()) && !has(client().reason()));
    check(!client().refusal() || !has(client().refusal()->summary()));
  }

  const unsigned choice_;
  fuzz::Script script_;
  fuzz::Traffic traffic_;
  Watch watch_;
  fuzz::RecordingLog log_;
  const StoreSettings settings_;
  const Settings process_ = process_settings();
  std::size_t sent_before_login_ = 0;
  std::size_t sent_after_login_ = 0;
  Upstream upstream_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Player(size == 0 ? 0 : data[0], input.substr(std::min<std::size_t>(input.size(), 1))).run();
  return 0;
}

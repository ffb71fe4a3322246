#include "tests/dialogues/memory_player.h"

#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "common/tag/key_file.h"
#include "mailer/delivery/delivery.h"
#include "mailer/delivery/lmtp_session.h"
#include "mailer/message/message_input.h"
#include "mailer/settings/destination_sections.h"
#include "tests/dialogues/scratch.h"

namespace dialogues {
namespace {

using lmtpq::mailer::Clock;
using lmtpq::mailer::Deadline;
using lmtpq::mailer::IoStatus;

thread_local bool stop_asked = false;
bool stopping() { return stop_asked; }

// All peers of one dialogue; they advance whenever lmtpq reads from or writes to one of them.
class Theatre {
 public:
  explicit Theatre(Stage& stage) : stage_(stage) {}
  Peer& add(std::unique_ptr<Peer> peer) {
    peers_.push_back(std::move(peer));
    return *peers_.back();
  }
  void advance() {
    bool any = true;
    while (any && !stage_.failed()) {
      any = false;
      for (auto& peer : peers_) {
        any = peer->advance() || any;
      }
      any = stage_.show_marks() || any;
    }
  }
  void finish() {
    advance();
    for (auto& peer : peers_) {
      peer->finish();
    }
  }
  Stage& stage() { return stage_; }

 private:
  Stage& stage_;
  std::vector<std::unique_ptr<Peer>> peers_;
};

class MemoryChannel : public lmtpq::mailer::Channel {
 public:
  // `leaves`: a peer closes after its last step, as standard input does at its end.
  MemoryChannel(Peer& peer, Theatre& theatre, bool leaves)
      : peer_(peer), theatre_(theatre), leaves_(leaves) {}
  ~MemoryChannel() override {
    peer_.receive_end();
    theatre_.advance();
  }

  IoStatus exchange(std::string_view& out, std::string& in, Deadline deadline) override {
    constexpr std::size_t kPiece = 16 * 1024;
    theatre_.advance();
    Stage& stage = theatre_.stage();
    if (stage.failed()) {
      return IoStatus::kFailed;
    }
    if (stage.take_termination()) {
      stop_asked = true;
      return IoStatus::kProgress;  // as poll(2) does when a signal came
    }
    if (peer_.has_outbox()) {
      in += peer_.take_outbox();
      return IoStatus::kProgress;
    }
    if (peer_.ending() == Peer::Ending::kAborted) {
      failure_ = "read: Connection reset by peer";
      return IoStatus::kFailed;
    }
    if (has_left() && !end_told_) {
      end_told_ = true;
      return IoStatus::kClosed;
    }
    if (!out.empty() && !peer_.deaf() && peer_.ending() != Peer::Ending::kClosed) {
      peer_.receive(out.substr(0, kPiece));
      out.remove_prefix(std::min(out.size(), kPiece));
      theatre_.advance();
      return IoStatus::kProgress;
    }
    return has_left() ? IoStatus::kClosed : nobody_moves(deadline);
  }

  bool quiet() override {
    theatre_.advance();
    return !peer_.has_outbox() && peer_.ending() == Peer::Ending::kOpen;
  }

  const std::string& failure() const override { return failure_; }

  // As with two pipes: only a peer that has closed both is gone.
  lmtpq::mailer::Presence presence() const override {
    theatre_.advance();
    const bool gone =
        peer_.ending() == Peer::Ending::kClosed || peer_.ending() == Peer::Ending::kAborted;
    return gone ? lmtpq::mailer::Presence::kGone : lmtpq::mailer::Presence::kThere;
  }

  void write_now(std::string_view& out) noexcept override {
    if (!peer_.deaf()) {
      peer_.receive(out);
      out = {};
      theatre_.advance();
    }
  }

 private:
  bool has_left() const {
    return peer_.ending() == Peer::Ending::kClosed || peer_.ending() == Peer::Ending::kHalfClosed ||
           (leaves_ && peer_.waiting() == Peer::Waiting::kNot);
  }

  IoStatus nobody_moves(Deadline deadline) {
    switch (peer_.waiting()) {
      case Peer::Waiting::kForLmtpq:
        theatre_.stage().fail(peer_.name() + " and lmtpq wait for each other");
        peer_.finish();
        return IoStatus::kFailed;
      case Peer::Waiting::kForMark:
        return sleep_until(deadline);
      case Peer::Waiting::kForClock:
        if (Clock::now() >= deadline) {
          return IoStatus::kTimeout;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return IoStatus::kProgress;
      case Peer::Waiting::kForEver:
        // lmtpq knows a store's timeout from the status alone, a client's also from the clock.
        return leaves_ ? sleep_until(deadline) : IoStatus::kTimeout;
      case Peer::Waiting::kNot:
        return IoStatus::kTimeout;
    }
    return IoStatus::kFailed;
  }

  IoStatus sleep_until(Deadline deadline) {
    constexpr std::chrono::seconds kLongest{1};
    if (deadline > Clock::now() + kLongest) {
      theatre_.stage().fail(peer_.name() + " is to wait for more than a second");
      return IoStatus::kFailed;
    }
    std::this_thread::sleep_until(deadline);
    return IoStatus::kTimeout;
  }

  Peer& peer_;
  Theatre& theatre_;
  bool leaves_;
  bool end_told_ = false;
  std::string failure_ = "the peer closed the connection";
};

class MemoryDialer : public lmtpq::mailer::Dialer {
 public:
  MemoryDialer(Cast& cast, Theatre& theatre) : cast_(cast), theatre_(theatre) {}

  lmtpq::mailer::Dialled dial(const lmtpq::mailer::Destination& destination,
                              std::chrono::milliseconds,
                              const lmtpq::mailer::Patience& /*patience*/) override {
    const std::size_t index = std::stoul(destination.host.substr(1));
    theatre_.advance();
    if (theatre_.stage().failed() || !cast_.listens(index)) {
      return {nullptr, destination.text, destination.text + ": Connection refused"};
    }
    Peer& peer = theatre_.add(cast_.accept(index, theatre_.stage()));
    return {std::make_unique<MemoryChannel>(peer, theatre_, false), destination.text, {}};
  }

 private:
  Cast& cast_;
  Theatre& theatre_;
};

lmtpq::mailer::Settings settings_of(const Script& script, std::size_t destinations,
                                    const std::string& scratch,
                                    std::vector<std::string>& operands) {
  lmtpq::mailer::Settings settings;
  const auto command = script.command == "deliver" ? lmtpq::mailer::Command::kDeliver
                                                   : lmtpq::mailer::Command::kRelay;
  lmtpq::OptionReader options(lmtpq::mailer::option_table(command, settings));
  std::vector<std::string> arguments = options_of(script, scratch);
  arguments.insert(arguments.end(), script.arguments.begin(), script.arguments.end());
  operands = options.take_arguments(arguments);
  options.apply();
  if (settings.tag_keys != "none") {
    settings.keys = lmtpq::read_key_file(settings.tag_keys);
  }
  for (std::size_t i = 0; i < destinations; ++i) {
    settings.destinations.push_back(lmtpq::mailer::parse_destination("unix:/" + std::to_string(i)));
  }
  settings.stores = lmtpq::mailer::find_stores(options, settings.destinations);
  return settings;
}

// What `lmtpq deliver` does between its arguments and its exit status.
int deliver(const Script& script, const std::vector<std::string>& operands,
            const lmtpq::mailer::Settings& settings, lmtpq::mailer::Delivery& delivery) {
  lmtpq::mailer::Envelope envelope;
  envelope.sender = lmtpq::Mailbox::parse(settings.sender).value_or(lmtpq::Mailbox());
  for (const std::string& recipient : operands) {
    envelope.recipients.push_back({lmtpq::Mailbox::parse(recipient).value()});
  }
  lmtpq::mailer::MessageInput message(settings);
  for (const Step& step : script.client) {
    message.append(step.text);
  }
  message.finish();
  envelope.body = message.body_type();
  const auto delivered = delivery.deliver({envelope, message.data(), Clock::now(), Clock::now()});
  delivery.close_idle();
  return lmtpq::mailer::exit_status(delivered.outcomes);
}

}  // namespace

Played play_in_memory(const Script& script, Cast& cast) {
  Played played;
  const Scratch scratch(script);
  Stage stage;
  Theatre theatre(stage);
  {
    std::vector<std::string> operands;
    const lmtpq::mailer::Settings settings =
        settings_of(script, cast.destinations(), scratch.path(), operands);
    const lmtpq::Log log("lmtpq", scratch.log_file(), lmtpq::LogLevel::kInfo);
    MemoryDialer dialer(cast, theatre);
    lmtpq::mailer::PoolList pools(settings, dialer, log);
    lmtpq::mailer::Delivery delivery(settings, pools, log);
    stop_asked = false;
    if (script.command == "deliver") {
      played.exit = deliver(script, operands, settings, delivery);
    } else {
      auto& mta = static_cast<ScriptedPeer&>(
          theatre.add(std::make_unique<ScriptedPeer>("mta", stage, script.client)));
      MemoryChannel client(mta, theatre, true);
      lmtpq::mailer::LmtpSession(client, settings, lmtpq::mailer::server_limits(settings), delivery,
                                 log, stopping)
          .run();
      mta.receive_end();
      theatre.advance();
      played.heard = mta.heard();
    }
  }
  theatre.finish();
  cast.finish(stage);
  played.failure = stage.failure();
  played.log = scratch.read(scratch.log_file());
  return played;
}

}  // namespace dialogues

// A client that does what the input says, and an agent that decides as it says: the client gets the
// replies of the protocol and one final reply per recipient, in their order, each as the agent
// decided it; no message is delivered that was not sent completely; and a reply that a client has
// not read, about a message that may be filed, is reported as lost.
//
// The first byte chooses how many are offered, whether time limits pass at the first wait, and the
// limits. The lines after it are those of scripted_peer.h, and:
//   d PLAN  what the agent does with the message that ended: 2 4 5 ? decide the next recipient's
//           outcome (? is uncertain), k leaves it for the result, p passes replies on, g asks
//           whether the client has gone
//   !       the session is told to stop

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mailer/delivery/lmtp_session.h"
#include "tests/fuzz/scripted_peer.h"

namespace {

using namespace lmtpq;
using namespace lmtpq::mailer;
using fuzz::check;

constexpr std::size_t kMaxOutput = 256 * 1024;  // a piece of commands, and the replies to it

class Client : public fuzz::ScriptedPeer {
 public:
  Client(fuzz::Script& script, fuzz::Traffic& traffic)
      : ScriptedPeer(script, traffic, IoStatus::kClosed) {}
  bool told_to_stop = false;

 private:
  void pass(char letter) override { told_to_stop = told_to_stop || letter == '!'; }
};

std::string text_of(const MessageSpool& body) {
  check(body.state() == MessageSpool::State::kGood ||
        body.state() == MessageSpool::State::kTooLarge);
  if (body.state() == MessageSpool::State::kTooLarge) {
    return "too large";
  }
  MessageSpool::Reader reader(body);
  std::string all;
  std::string_view piece;
  while (reader.next(piece) == MessageSpool::Reader::Result::kBytes) {
    all += piece;
  }
  return all;
}

// A message, as the agent or the model gets it.
struct Message {
  std::string envelope;
  std::string body;
  bool operator==(const Message&) const = default;
};

Message message_of(const Envelope& envelope, const MailData& data) {
  Message made{envelope.sender.path() + ' ' + envelope.trace.text(), text_of(data.body())};
  for (const Recipient& recipient : envelope.recipients) {
    made.envelope += ' ' + recipient.mailbox.path() + (recipient.ignore_quota ? "!" : "");
  }
  return made;
}

struct Delivered {
  Message message;
  std::vector<Outcome> outcomes;
  std::size_t sent = 0;  // by the client, before it was delivered
};

bool filed(const Outcome& outcome) {
  return outcome.fate == Fate::kDelivered || outcome.trouble == Trouble::kUncertain;
}

class Agent : public DeliveryAgent {
 public:
  Agent(fuzz::Script& script, const fuzz::Traffic& traffic) : script_(script), traffic_(traffic) {}

  DeliveryResult deliver(const DeliveryRequest& request) override {
    const std::size_t count = request.envelope.recipients.size();
    check(count > 0 && request.client != nullptr);
    std::vector<std::optional<Outcome>> outcomes(count);
    std::size_t next = 0;
    for (const char step : script_.letter() == 'd' ? script_.take() : std::string_view()) {
      if (step == 'p') {
        request.client->pass_on();
      } else if (step == 'g' && request.client->gone()) {
        break;
      } else if (next < count && std::string_view("245?k").find(step) != std::string::npos) {
        outcomes[next] = outcome(step, next);
        if (step != 'k') {
          request.client->decided(next, *outcomes[next], trace());
        }
        ++next;
      }
    }
    Delivered made{message_of(request.envelope, request.data), {}, traffic_.sent.size()};
    for (std::size_t i = 0; i < count; ++i) {
      made.outcomes.push_back(outcomes[i] ? *outcomes[i] : outcome('4', i));
    }
    delivered.push_back(made);
    idle_ = true;
    return {trace(), made.outcomes, *TraceId::parse("q1")};
  }
  void reply_lost() override { ++lost; }
  bool has_idle() const override { return idle_; }
  void close_idle() override { idle_ = false; }

  static TraceId trace() { return *TraceId::parse("t1"); }

  std::vector<Delivered> delivered;
  std::size_t lost = 0;

 private:
  Outcome outcome(char step, std::size_t recipient) const {
    const std::string text =
        'm' + std::to_string(delivered.size()) + 'r' + std::to_string(recipient) + " \x1b\r\n250 x";
    switch (step) {
      case '2':
      case 'k':
        return {Fate::kDelivered, 250, {2, 1, 5}, text, {}};
      case '5':
        return {Fate::kPermanent, 550, {5, 1, 1}, text, {}};
      case '?':
        return outcome_of(Trouble::kUncertain, text);
      default:
        return outcome_of(Trouble::kLost, text);
    }
  }

  fuzz::Script& script_;
  const fuzz::Traffic& traffic_;
  bool idle_ = false;
};

// The replies to what the client sent, and of these the final ones about a message that may be
// filed: where they end.
struct Expected {
  std::string replies;
  bool idle = false;  // no message is open at their end
  std::vector<std::size_t> ends_of_filed;
};

// The protocol without a session. Compares the messages.
Expected play_alone(const ServerLimits& limits, const Settings& settings, std::string_view input,
                    const std::vector<Delivered>& delivered) {
  Expected expected;
  LmtpServer server(limits);
  std::optional<MailData> data;
  std::size_t messages = 0;
  for (;;) {
    const ServerEvent event = server.advance(input);
    expected.replies += server.output();
    server.output().clear();
    if (event == ServerEvent::kNeedInput || event == ServerEvent::kClosed) {
      break;
    }
    if (!data) {
      data.emplace(settings.spool_dir, settings.max_message_size);
    }
    if (event == ServerEvent::kBody) {
      data->append(server.body());
      server.body().clear();
      continue;
    }
    if (messages == delivered.size()) {
      break;  // the session had ended
    }
    data->finish(server.text_report());
    const Delivered& one = delivered[messages++];
    check(one.message == message_of(server.envelope(), *data));
    check(one.outcomes.size() == server.envelope().recipients.size());
    for (const Outcome& outcome : one.outcomes) {
      expected.replies += reply_line(outcome, Agent::trace());
      if (filed(outcome)) {
        expected.ends_of_filed.push_back(expected.replies.size());
      }
    }
    data.reset();
    server.answered();
  }
  check(messages == delivered.size());
  expected.idle = server.state() == ServerState::kGreeted || server.state() == ServerState::kReady;
  return expected;
}

void check_lines(std::string_view output) {
  while (output.find("\r\n") != std::string_view::npos) {
    const std::string_view line = output.substr(0, output.find("\r\n"));
    check(line.size() >= 4 && line.size() + 2 <= kMaxReplyLine && printable(line) == line);
    output.remove_prefix(line.size() + 2);
  }
}

void play(unsigned choice, std::string_view input) {
  Settings settings;
  settings.store_defaults.hostname = "here";
  settings.store_defaults.min_data_rate = 1;
  settings.max_rcpts = 3;
  settings.line_limit = 8000;
  settings.spool_dir = "/tmp";
  settings.timeouts.input = std::chrono::hours(choice % 2 == 0 ? 1 : 0);
  settings.timeouts.idle = std::chrono::hours(choice % 4 < 2 ? 1 : 0);
  if (choice % 8 > 3) {
    settings.max_message_size = 500;
  }
  ServerLimits limits = server_limits(settings);
  limits.max_idle_commands = choice % 16 > 7 ? 4 : 0;
  if (choice % 32 > 15) {
    limits.offers = {Offer::kPipelining, Offer::kIgnoreQuota, Offer::kTrace, Offer::kLimits};
  }

  fuzz::Script script(input);
  fuzz::Traffic traffic;
  Client client(script, traffic);
  Agent agent(script, traffic);
  fuzz::RecordingLog log;
  LmtpSession session(client, settings, limits, agent, log.log(),
                      [&client] { return client.told_to_stop; }, {"192.0.2.1", "unix:/x"});
  const auto end = session.run();
  check(end == LmtpSession::End::kByClient || client.told_to_stop);
  const std::size_t taken = traffic.taken.size();
  const bool gone = traffic.gone;  // before it could get a 421
  if (end == LmtpSession::End::kToldToStop) {
    session.send_421();
  }

  check(traffic.largest <= kMaxOutput);
  check_lines(traffic.taken);
  const Expected expected = play_alone(limits, settings, traffic.sent, agent.delivered);
  const bool whole = traffic.taken == expected.replies;
  if (client.told_to_stop) {
    const auto apart = std::mismatch(traffic.taken.begin(), traffic.taken.end(),
                                     expected.replies.begin(), expected.replies.end());
    const std::string_view last(apart.first, traffic.taken.end());  // a 421, or a part of it
    check(last.empty() || traffic.cut_short ||
          (last.find(" 4.3.2 Shutting down") < 4 && last.find('\n') == last.size() - 1));
    check(end == LmtpSession::End::kToldToStop || !expected.idle || traffic.cut_short ||
          expected.replies.size() != taken);
  } else {
    check(expected.replies.starts_with(traffic.taken));
    check(whole || traffic.cut_short);
  }
  for (const std::size_t filed_end : expected.ends_of_filed) {
    check(filed_end <= traffic.taken.size() || agent.lost > 0);
  }
  check(agent.lost == 0 || traffic.cut_short || traffic.gone || !traffic.acknowledges);
  if (gone && !agent.delivered.empty() && agent.delivered.back().sent == traffic.sent.size()) {
    const auto& outcomes = agent.delivered.back().outcomes;
    check(agent.lost > 0 || std::none_of(outcomes.begin(), outcomes.end(), filed));
  }

  log.text();
  check(log.count("reply-lost") == agent.lost && log.count("client-lost") <= 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  play(size == 0 ? 0 : data[0], input.substr(std::min<std::size_t>(input.size(), 1)));
  return 0;
}

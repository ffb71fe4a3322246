#include "mailer/delivery/session.h"

#include <algorithm>

namespace lmtpq::mailer {

namespace {

// Some commands are shorter than their replies: a client that sends them without reading what they
// are answered has us keep this much, and what one kPiece more brings.
constexpr std::size_t kMostOutput = 16 * 1024;
constexpr std::size_t kPiece = 4 * 1024;

}  // namespace

ServerLimits server_limits(const Settings& settings) {
  ServerLimits limits;
  limits.name = settings.client_hostname();
  limits.max_recipients = settings.max_rcpts;
  limits.max_size = settings.max_message_size;
  limits.line_limit = settings.line_limit;
  return limits;
}

Session::Session(Channel& client, const Settings& settings, ServerLimits limits,
                 DeliveryAgent& carrier, const Log& log, std::function<bool()> stopping)
    : client_(client),
      settings_(settings),
      carrier_(carrier),
      log_(log),
      stopping_(std::move(stopping)),
      server_(std::move(limits)) {}

bool Session::idle() const {
  return server_.state() == ServerState::kGreeted || server_.state() == ServerState::kReady;
}

Session::End Session::run() {
  for (;;) {
    switch (server_.advance(piece_)) {
      case ServerEvent::kNeedInput:
        if (!next_input()) {
          return end_;
        }
        break;
      case ServerEvent::kBody:
        if (!data_) {
          data_.emplace(settings_.spool_dir, settings_.max_message_size);
        }
        data_->append(server_.body());
        server_.body().clear();
        break;
      case ServerEvent::kMessage:
        if (!deliver()) {
          return end_;
        }
        break;
      case ServerEvent::kClosed:
        // The answer first: Sendmail waits for our exit, and the store's QUIT can be slow.
        flush();
        carrier_.drop_idle();
        return end_;
    }
  }
}

bool Session::next_input() {
  if (rest_.empty()) {
    if (!flush() || !read_input()) {
      return false;
    }
    rest_ = input_;
  } else if (server_.output().size() >= kMostOutput && !flush()) {
    return false;
  }
  const bool commands = server_.state() != ServerState::kData;
  piece_ = rest_.substr(0, commands ? kPiece : rest_.size());
  rest_.remove_prefix(piece_.size());
  return true;
}

void Session::say_goodbye() {
  server_.goodbye({4, 3, 2}, "Shutting down");
  flush();
}

// Waits for the client: for a whole command since our last reply, as one that comes byte by byte is
// no better than none. An unused connection to the store is not held for a client that pauses, and
// a message must arrive at the minimum rate.
bool Session::read_input() {
  input_ = std::move(pending_);
  pending_.clear();
  const bool was_idle = idle();
  const Clock::time_point start = Clock::now();
  if (was_idle) {
    begun_ = start;
    read_ = 0;
  }
  const std::chrono::milliseconds earned(read_ * 1000 / settings_.client_min_data_rate());
  const Deadline deadline =
      server_.state() == ServerState::kData
          ? std::min(start + settings_.timeouts.input, begun_ + settings_.timeouts.input + earned)
          : answered_ + settings_.timeouts.input;
  std::string_view nothing;
  while (input_.empty()) {
    if (stopping_()) {
      server_.drain();
    }
    if (was_idle && stopping_()) {
      end_ = End::kToldToStop;
      ended("told to stop");
      return false;
    }
    const bool holds = carrier_.has_idle();
    const Deadline hold = start + settings_.timeouts.idle;
    const IoStatus status =
        client_.exchange(nothing, input_, holds ? std::min(hold, deadline) : deadline);
    if (status == IoStatus::kTimeout && Clock::now() < deadline) {
      carrier_.drop_idle();
    } else if (status == IoStatus::kTimeout) {
      ended("the client was silent or slow for too long");
      return false;
    } else if (status != IoStatus::kProgress) {
      if (status == IoStatus::kFailed && told_) {
        reply_lost(*told_, client_.failure() + " behind the outcomes: possible duplicate");
      }
      ended(client_.failure());
      return false;
    }
  }
  if (was_idle) {
    begun_ = Clock::now();
  }
  told_.reset();
  read_ += input_.size();
  return true;
}

bool Session::flush() {
  const Deadline deadline = Clock::now() + settings_.timeouts.input;
  if (!write_all(client_, server_.output(), pending_, deadline, &client_ended_)) {
    ended("the client does not take our reply");
    return false;
  }
  if (!server_.output().empty()) {
    answered_ = Clock::now();
  }
  server_.output().clear();
  return true;
}

bool Session::deliver() {
  // A client that pipelines must not wait with its next piece for what we have long answered.
  if (!flush()) {
    return false;
  }
  if (!data_) {
    data_.emplace(settings_.spool_dir, settings_.max_message_size);
  }
  data_->finish();
  const Delivered delivered = carrier_.deliver(server_.envelope(), *data_, begun_);
  data_.reset();
  look_at_client();
  std::vector<std::string> lines;
  for (const Outcome& outcome : delivered.outcomes) {
    lines.push_back(reply_line(outcome, delivered.trace));
  }
  server_.answer(lines);
  // The next message may stand behind this one's dot, in the same piece.
  begun_ = Clock::now();
  read_ = 0;
  if (!flush()) {
    reply_lost(delivered.trace, "gone before it heard the outcomes: possible duplicate");
    return false;
  }
  if (client_ended_ && piece_.empty() && rest_.empty() && pending_.empty()) {
    // Over TCP there is no telling one who has gone from one who only has nothing more to say.
    reply_lost(delivered.trace, "closed before it was told the outcomes: possible duplicate");
  }
  told_ = delivered.trace;
  return true;
}

// Is he still there? Before the outcomes are written, as over TCP a write to one who has gone is
// taken.
void Session::look_at_client() {
  std::string_view nothing;
  if (!client_ended_ && !client_.quiet()) {
    client_ended_ = client_.exchange(nothing, pending_, Clock::now() + std::chrono::seconds(1)) ==
                    IoStatus::kClosed;
  }
}

// What the store took, the client will bring again.
void Session::reply_lost(const TraceId& trace, const std::string& words) {
  carrier_.reply_lost();
  log_.warning(Record("reply-lost").add("trace", trace.text()).add("client", words));
}

// Between messages a client's leaving is its right, and behind its QUIT; in the middle of one it is
// worth a line.
void Session::ended(const std::string& reason) {
  if (!idle() && server_.state() != ServerState::kClosed) {
    log_.warning(Record("client-lost")
                     .add("trace", "")
                     .add("client", reason)
                     .add("state", kServerStateNames[static_cast<int>(server_.state())])
                     .add("message", "thrown away; the client still has it"));
  }
  carrier_.drop_idle();
}

}  // namespace lmtpq::mailer

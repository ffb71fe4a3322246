#include "mailer/delivery/lmtp_session.h"

#include <algorithm>
#include <utility>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

namespace {

// Some commands are shorter than their replies, so a client that pipelines without reading could
// make us buffer without limit. Output is written before it exceeds this much plus the replies to
// one kPiece of input.
constexpr std::size_t kMaxOutput = 16 * 1024;
constexpr std::size_t kPiece = 4 * 1024;
// Of a message, taken into the spool at a time.
constexpr std::size_t kBodyPiece = 8 * 1024;

// Of commands; a buffer of this size is kept.
constexpr std::size_t kSmallInput = 256;

// How long a client that got a reply to LHLO or RSET may take to send MAIL after we were told to
// stop.
constexpr std::chrono::seconds kNextMail{3};

// How long to wait for a TCP client's acknowledgement of the last replies, and for the end of one
// that has the reply to QUIT.
constexpr std::chrono::seconds kAcknowledgement{2};

// How long a client that sent QUIT before it could read the replies to its message may take for
// them. Postfix then closes without the reply to QUIT.
constexpr std::chrono::milliseconds kReading{200};

}  // namespace

ServerLimits server_limits(const Settings& settings) {
  ServerLimits limits;
  limits.name = settings.client_hostname();
  limits.max_recipients = settings.max_rcpts;
  limits.max_size = settings.max_message_size;
  limits.text = text_rules(settings);
  limits.mark = instance_mark();
  return limits;
}

LmtpSession::LmtpSession(Channel& client, const Settings& settings, ServerLimits limits,
                         DeliveryAgent& agent, const Log& log, std::function<bool()> stopping,
                         ClientNames names)
    : client_(client),
      timeouts_(settings.timeouts),
      min_data_rate_(settings.client_min_data_rate()),
      spool_dir_(settings.spool_dir),
      max_message_size_(settings.max_message_size),
      agent_(agent),
      log_(log),
      stopping_(std::move(stopping)),
      names_(std::move(names)),
      server_(std::move(limits)),
      unread_(agent, log, names_) {}

bool LmtpSession::idle() const {
  return server_.state() == ServerState::kGreeted || server_.state() == ServerState::kReady;
}

LmtpSession::End LmtpSession::run() {
  for (;;) {
    switch (server_.advance(piece_)) {
      case ServerEvent::kNeedInput:
        if (!next_input()) {
          return end_;
        }
        break;
      case ServerEvent::kBody:
        begin_data();
        data_->append(server_.body());
        server_.body().clear();
        break;
      case ServerEvent::kMessage:
        if (!deliver()) {
          return end_;
        }
        break;
      case ServerEvent::kClosed:
        // Reply before closing the stores' connections: Sendmail waits for our exit, and a store
        // can be slow to answer QUIT.
        await_reader(kReading);
        flush();
        agent_.close_idle();
        await_reader(kAcknowledgement);
        check_unread(Clock::now());
        return end_;
    }
  }
}

bool LmtpSession::next_input() {
  if (rest_.empty()) {
    if (!flush() || !read_input()) {
      return false;
    }
    rest_ = input_;
  } else if (server_.output().size() >= kMaxOutput && !flush()) {
    return false;
  } else {
    pace();
  }
  const bool commands = server_.state() != ServerState::kData;
  piece_ = rest_.substr(0, commands ? kPiece : kBodyPiece);
  rest_.remove_prefix(piece_.size());
  return true;
}

void LmtpSession::send_421() {
  server_.close({4, 3, 2}, "Shutting down");
  flush();
}

bool LmtpSession::read_input() {
  const bool was_idle = idle();
  if (was_idle) {
    agent_.rest();
    begun_ = Clock::now();
    read_ = 0;
  }
  input_.clear();
  if (!pending_.empty() || input_.capacity() > kSmallInput) {
    std::string(std::exchange(pending_, {}))
        .swap(input_);  // frees its buffer: this may wait for long
  }
  if (input_.empty() && !wait_for_input()) {
    return false;
  }
  if (was_idle) {
    begun_ = Clock::now();
  }
  if (!unread_.empty() && client_.may_have_read()) {
    unread_.clear();
  }
  read_ += input_.size();
  return true;
}

// Between two inputs of a message the client may pause for the input timeout, and its average must
// reach the minimum rate. A command must be complete within that timeout after our last reply: one
// that comes byte by byte must not hold a session.
Deadline LmtpSession::input_deadline(Clock::time_point now) const {
  const auto timeout = timeouts_.input;
  if (server_.state() != ServerState::kData) {
    return answered_ + timeout;
  }
  const std::chrono::milliseconds earned(read_ * 1000 / min_data_rate_);
  return std::min(now + timeout, begun_ + timeout + earned);
}

// Also gives back an unused connection to the store when the client pauses.
bool LmtpSession::wait_for_input() {
  const Clock::time_point start = Clock::now();
  const Deadline deadline = input_deadline(start);
  const Deadline hold = start + timeouts_.idle;
  std::string_view nothing;
  while (input_.empty()) {
    if (told_to_stop()) {
      return false;
    }
    if (!input_.empty()) {
      break;
    }
    Deadline wake = agent_.has_idle() ? std::min(hold, deadline) : deadline;
    if (told_ && idle()) {
      wake = std::min(wake, *told_ + kNextMail);
    }
    switch (client_.exchange(nothing, input_, wake)) {
      case IoStatus::kProgress:
        break;
      case IoStatus::kTimeout:
        if (Clock::now() >= deadline) {
          check_unread(Clock::now());
          ended("the client sent nothing, or too slowly, until the timeout");
          return false;
        }
        agent_.close_idle();
        break;
      case IoStatus::kFailed:
        unread_.lost(client_.failure());
        ended(client_.failure());
        return false;
      case IoStatus::kClosed:
        check_closed();
        // Our side may have been cut, right after we were told: the client still reads the 421.
        if (stopping_() && idle()) {
          end_ = End::kToldToStop;
        }
        ended(client_.failure());
        return false;
    }
  }
  return true;
}

// An idle session ends at once, or after kNextMail if its client may be about to send MAIL.
bool LmtpSession::told_to_stop() {
  if (!stopping_()) {
    return false;
  }
  server_.drain();
  if (!told_) {
    told_ = Clock::now();
  }
  if (!idle() || (server_.awaits_mail() && Clock::now() < *told_ + kNextMail)) {
    return false;
  }
  // What it sent before it could know is answered too, QUIT by 221.
  std::string_view nothing;
  if (!server_.ending() && !client_.quiet() &&
      client_.exchange(nothing, input_, Clock::now()) == IoStatus::kProgress) {
    server_.end();
    return false;
  }
  end_ = End::kToldToStop;
  check_unread(Clock::now() + kAcknowledgement);
  ended("told to stop");
  return true;
}

bool LmtpSession::flush() {
  std::string_view left = server_.output();
  if (!write(left)) {
    return false;
  }
  server_.output().clear();
  return true;
}

// What was written is removed from the front of `bytes`.
bool LmtpSession::write(std::string_view& bytes) {
  if (bytes.empty()) {
    return true;
  }
  const Deadline deadline = Clock::now() + timeouts_.input;
  if (!write_front(client_, bytes, pending_, deadline)) {
    not_written();
    ended("the client does not read our reply");
    return false;
  }
  answered_ = Clock::now();
  return true;
}

// In the input that was read and is not processed yet.
bool LmtpSession::has_command() const {
  const auto has_end = [](std::string_view text) {
    return text.find('\n') != std::string_view::npos;
  };
  return has_end(piece_) || has_end(rest_) || has_end(pending_);
}

void LmtpSession::begin_data() {
  if (!data_) {
    data_.emplace(spool_dir_, max_message_size_, &server_.memory());
  }
}

// Before a wait that may be long: the buffers that the message came through.
void LmtpSession::free_input() {
  std::string().swap(server_.body());
  std::string unread;
  unread.reserve(piece_.size() + rest_.size());
  unread.append(piece_).append(rest_);
  piece_ = {};
  input_.swap(unread);
  rest_ = input_;
}

bool LmtpSession::deliver() {
  // A client that pipelines must not have to wait for replies to what it sent before.
  if (!flush()) {
    return false;
  }
  begin_data();
  data_->finish(server_.text_report());
  free_input();
  SessionClient client(client_, server_.envelope().recipients.size(), has_command(), stopping_);
  const DeliveryResult result =
      agent_.deliver({server_.envelope(), *data_, begun_, Clock::now(), nullptr, nullptr, &client});
  data_.reset();
  client.finish(result);
  // The next message may already be in the same piece of input.
  begun_ = Clock::now();
  read_ = 0;
  return send_replies(client, result);
}

// Those that the delivery has not passed on.
bool LmtpSession::send_replies(SessionClient& client, const DeliveryResult& result) {
  const Envelope envelope = server_.answered();
  std::string_view left = client.due();
  const bool sent = write(left);
  client.written(client.due().size() - left.size());
  answered_ = Clock::now();
  unread_.add(envelope, result, client);
  if (!sent) {
    not_written();
  }
  return sent;
}

// At the end of a drain it is the daemon that ends the connection (Clients::disconnect()).
void LmtpSession::not_written() {
  const bool gone = client_.presence() == Presence::kGone && !stopping_();
  unread_.lost(gone ? UnreadReplies::Client::kGone : UnreadReplies::Client::kUnread);
}

// Of a client that has sent QUIT. It may have done so before it could read the replies.
void LmtpSession::await_reader(std::chrono::milliseconds patience) {
  if (unread_.empty()) {
    return;
  }
  if (client_.await_reader(Clock::now() + patience)) {
    unread_.clear();
  } else if (client_.presence() == Presence::kGone) {
    unread_.lost(UnreadReplies::Client::kGone);
  }
}

// Of a client that has ended its side. One that only is slow to read is still there.
void LmtpSession::check_closed() {
  if (!unread_.empty() && !client_.took_all(Clock::now() + kAcknowledgement) &&
      client_.presence() == Presence::kGone) {
    unread_.lost(UnreadReplies::Client::kGone);
  }
  unread_.clear();  // as in check_unread()
}

// Of a client that we disconnect. Over TCP nobody knows whether it has read what it acknowledged.
void LmtpSession::check_unread(Deadline latest) {
  const bool read =
      unread_.empty() || client_.may_have_read() ||
      (client_.took_all(latest) && (client_.may_have_read() || client_.await_reader(latest)));
  if (!read) {
    unread_.lost(UnreadReplies::Client::kUnread);
  }
  unread_.clear();  // it may close now, and a 421 that cannot be written says nothing
}

// Disconnecting between messages or after QUIT is normal; during a message it is logged.
void LmtpSession::ended(const std::string& reason) {
  if (!idle() && server_.state() != ServerState::kClosed) {
    Record record("client-lost");
    names_.add_to(record);
    log_.warning(record.add("error", reason)
                     .add("state", kServerStateNames[static_cast<int>(server_.state())])
                     .add("effect", "discarded; the client still has it"),
                 Outsider{names_.client});
  }
  agent_.close_idle();
}

}  // namespace lmtpq::mailer

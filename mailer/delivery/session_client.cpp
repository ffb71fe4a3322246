#include "mailer/delivery/session_client.h"

namespace lmtpq::mailer {

void SessionClient::decided(std::size_t recipient, const Outcome& outcome, const TraceId& trace) {
  const std::lock_guard lock(mutex_);
  replies_.decide(recipient, reply_line(outcome, trace));
}

// Over TCP a write to a client that has gone succeeds, so look first.
void SessionClient::pass_on() noexcept {
  const std::lock_guard lock(mutex_);
  if (replies_.due().empty()) {
    return;
  }
  look();
  if (!gone_) {
    std::string_view left = replies_.due();
    channel_.write_now(left);
    written(replies_.due().size() - left.size());
  }
}

void SessionClient::written(std::size_t bytes) {
  replies_.written(bytes);
  if (finished_) {
    look();
  } else {
    answered_ = replies_.complete();
  }
}

void SessionClient::look() {
  const Presence presence = channel_.presence();
  if (presence != Presence::kThere) {
    const bool took_all = channel_.took_all(Clock::now());
    finished_ = true;
    answered_ = took_all ? replies_.complete() : answered_;
    read_ = took_all && presence == Presence::kGone ? answered_ : read_;
  }
  gone_ = gone_ || presence == Presence::kGone;
}

// RFC 5321 section 4.1.1.10: a client must not close before it has the reply to QUIT, so one with
// an unread command waits for replies. Of one without, over TCP an end of its side looks as if it
// has gone; it got no 250, so that not delivering is safe. While we are stopping, that end may be
// of our making (Clients::cut()), and says nothing about the client.
bool SessionClient::gone() {
  const std::lock_guard lock(mutex_);
  if (!gone_) {
    look();
    gone_ = gone_ || (finished_ && !has_command_ && !stopping_());
  }
  return gone_;
}

void SessionClient::finish(const DeliveryResult& result) {
  look();
  for (std::size_t i = 0; i < recipients_; ++i) {
    if (!replies_.decided(i)) {
      replies_.decide(i, reply_line(result.outcomes[i], result.trace));
    }
  }
}

}  // namespace lmtpq::mailer

#include "mailer/delivery/session_client.h"

namespace lmtpq::mailer {

void SessionClient::decided(std::size_t recipient, const Outcome& outcome, const TraceId& trace) {
  const std::lock_guard lock(mutex_);
  replies_.decide(recipient, reply_line(outcome, trace));
}

// A reply that is written to a client that has ended its side may be lost, so look first: over TCP
// such a write succeeds.
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
  if (!ended_) {
    answered_ = replies_.complete();
  }
}

void SessionClient::look() {
  switch (channel_.presence()) {
    case Presence::kThere:
      break;
    case Presence::kFinished:
      ended_ = ended_ || !has_command_;
      break;
    case Presence::kGone:
      ended_ = true;
      gone_ = true;
      break;
  }
}

// RFC 5321 section 4.1.1.10: a client must not close before it has the reply to QUIT. One that has
// only ended its side without sending QUIT got no 250, so that not delivering is safe, and over TCP
// it looks like one that has gone. While we are stopping, that end may be of our making
// (Clients::cut()), and says nothing about the client.
bool SessionClient::gone() {
  const std::lock_guard lock(mutex_);
  if (!gone_) {
    look();
    gone_ = gone_ || (ended_ && !stopping_());
  }
  return gone_;
}

void SessionClient::finish(const DeliveryResult& result) {
  for (std::size_t i = 0; i < recipients_; ++i) {
    if (!replies_.decided(i)) {
      replies_.decide(i, reply_line(result.outcomes[i], result.trace));
    }
  }
}

}  // namespace lmtpq::mailer

#include "mailer/store/mailbox_limiter.h"

#include <algorithm>
#include <utility>

namespace lmtpq::mailer {

std::size_t MailboxLimiter::in_flight(const Turn& turn) const {
  const auto found = mailboxes_.find(turn.mailbox);
  return found == mailboxes_.end() ? 0 : found->second.in_flight;
}

void MailboxLimiter::hold(Turn& turn) {
  Mailbox& mailbox = mailboxes_[turn.mailbox];
  leave_line(mailbox, turn);
  ++mailbox.in_flight;
  turn.state = Turn::State::kHeld;
  ++turn.delivery->held_;
}

void MailboxLimiter::stand_in_line(Turn& turn) {
  if (turn.state == Turn::State::kNone) {
    mailboxes_[turn.mailbox].line.push_back(&turn);
    turn.state = Turn::State::kInLine;
  }
}

void MailboxLimiter::leave_line(Mailbox& mailbox, Turn& turn) {
  if (turn.state == Turn::State::kInLine) {
    mailbox.line.remove(&turn);
  }
}

void MailboxLimiter::give_up(Turn& turn) {
  if (turn.state == Turn::State::kNone) {
    return;
  }
  const auto found = mailboxes_.find(turn.mailbox);
  Mailbox& mailbox = found->second;
  leave_line(mailbox, turn);
  if (std::exchange(turn.state, Turn::State::kNone) == Turn::State::kHeld) {
    --turn.delivery->held_;
    --mailbox.in_flight;
    if (mailbox.in_flight < most()) {
      let_next_in(mailbox);
    }
  }
  if (mailbox.in_flight == 0 && mailbox.line.empty()) {
    mailboxes_.erase(found);
  }
}

// Past those that are busy with other mailboxes: they look for themselves when they are done.
bool MailboxLimiter::let_next_in(Mailbox& mailbox) {
  const auto next = std::find_if(mailbox.line.begin(), mailbox.line.end(),
                                 [](const Turn* turn) { return turn->delivery->waits_; });
  if (next == mailbox.line.end()) {
    return false;
  }
  MailboxTurns& delivery = *(*next)->delivery;
  hold(**next);
  delivery.waits_ = false;
  delivery.called_.call();
  return true;
}

void MailboxLimiter::set_limit(std::size_t limit) {
  const std::lock_guard lock(mutex_);
  limit_ = limit;
  for (auto& [name, mailbox] : mailboxes_) {
    while (mailbox.in_flight < most() && let_next_in(mailbox)) {
    }
  }
}

std::size_t MailboxLimiter::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

std::size_t MailboxLimiter::mailboxes() const {
  const std::lock_guard lock(mutex_);
  return mailboxes_.size();
}

MailboxTurns::MailboxTurns(MailboxLimiter& limiter, std::vector<std::string> mailboxes)
    : limiter_(limiter) {
  turns_.reserve(mailboxes.size());
  turn_of_.reserve(mailboxes.size());
  std::unordered_map<std::string, std::size_t> known;
  for (std::string& mailbox : mailboxes) {
    const auto [place, is_new] = known.try_emplace(std::move(mailbox), turns_.size());
    if (is_new) {
      turns_.push_back({this, place->first});
    }
    ++turns_[place->second].undecided;
    turn_of_.push_back(place->second);
  }
}

MailboxTurns::~MailboxTurns() {
  const std::lock_guard lock(limiter_.mutex_);
  for (Turn& turn : turns_) {
    limiter_.give_up(turn);
  }
}

bool MailboxTurns::has(std::size_t recipient) const {
  return turns_[turn_of_[recipient]].state == State::kHeld;
}

// It has a turn out of a mailbox's last quarter.
bool MailboxTurns::crowded() const {
  return std::any_of(turns_.begin(), turns_.end(), [&](const Turn& turn) {
    return turn.state == State::kHeld && limiter_.in_flight(turn) > limiter_.most_shared();
  });
}

MailboxTurns::Turn* MailboxTurns::least_crowded() {
  Turn* least = nullptr;
  std::size_t fewest = limiter_.most();
  for (Turn& turn : turns_) {
    const std::size_t in_flight = limiter_.in_flight(turn);
    if (turn.undecided > 0 && in_flight < fewest) {
      fewest = in_flight;
      least = &turn;
    }
  }
  return least;
}

// A delivery that waits is given each turn that becomes free, so those that are free now are
// not its.
void MailboxTurns::take_now() {
  const bool alone = held_ > 0 && crowded();
  for (Turn& turn : turns_) {
    if (turn.undecided > 0 && turn.state != State::kHeld && !alone &&
        limiter_.in_flight(turn) < limiter_.most_shared()) {
      limiter_.hold(turn);
    }
  }
  if (held_ == 0) {
    if (Turn* const turn = least_crowded()) {
      limiter_.hold(*turn);
    }
  }
  for (Turn& turn : turns_) {
    if (turn.undecided > 0) {
      limiter_.stand_in_line(turn);
    }
  }
}

bool MailboxTurns::take_free() {
  const std::lock_guard lock(limiter_.mutex_);
  take_now();
  return has_any();
}

bool MailboxTurns::take(const Patience& patience) {
  std::unique_lock lock(limiter_.mutex_);
  take_now();
  if (!has_any()) {
    ++limiter_.waiting_;
    waits_ = true;
    called_.wait_until(lock, patience, [&] { return has_any(); });
    waits_ = false;
    --limiter_.waiting_;
    take_now();
  }
  return has_any();
}

void MailboxTurns::keep_only(const std::vector<std::size_t>& recipients) {
  std::vector<bool> kept(turns_.size());
  for (const std::size_t recipient : recipients) {
    kept[turn_of_[recipient]] = true;
  }
  const std::lock_guard lock(limiter_.mutex_);
  for (std::size_t i = 0; i < turns_.size(); ++i) {
    if (!kept[i] && turns_[i].state == State::kHeld) {
      limiter_.give_up(turns_[i]);
    }
  }
}

void MailboxTurns::end(std::size_t recipient) {
  Turn& turn = turns_[turn_of_[recipient]];
  if (--turn.undecided == 0) {
    const std::lock_guard lock(limiter_.mutex_);
    limiter_.give_up(turn);
  }
}

}  // namespace lmtpq::mailer

#include "mailer/store/mailbox_limiter.h"

#include <algorithm>
#include <utility>

namespace lmtpq::mailer {

Claim Claim::unneeded() {
  Claim made;
  made.granted_ = true;
  return made;
}

Claim::Claim(Claim&& other) noexcept
    : limiter_(std::exchange(other.limiter_, nullptr)),
      mailboxes_(std::move(other.mailboxes_)),
      granted_(std::exchange(other.granted_, false)) {}

Claim& Claim::operator=(Claim&& other) noexcept {
  std::swap(limiter_, other.limiter_);
  std::swap(mailboxes_, other.mailboxes_);
  std::swap(granted_, other.granted_);
  return *this;
}

Claim::~Claim() {
  if (limiter_ != nullptr) {
    limiter_->give_back(mailboxes_);
  }
}

// Nobody who came earlier waits for one of its mailboxes, and none of them is full.
bool MailboxLimiter::free_for(const Claimant& waiter) const {
  return std::all_of(waiter.mailboxes.begin(), waiter.mailboxes.end(), [&](const auto& name) {
    const Mailbox& mailbox = mailboxes_.at(name);
    return mailbox.in_flight < limit_ && mailbox.waiting.front() == &waiter;
  });
}

void MailboxLimiter::leave_queues(const Claimant& waiter) {
  for (const std::string& name : waiter.mailboxes) {
    std::erase(mailboxes_.at(name).waiting, &waiter);
  }
}

void MailboxLimiter::grant(Claimant& waiter) {
  leave_queues(waiter);
  for (const std::string& name : waiter.mailboxes) {
    ++mailboxes_.at(name).in_flight;
  }
  waiter.granted = true;
}

// Whose turn it is now; nullptr: nobody's.
MailboxLimiter::Claimant* MailboxLimiter::next_of(const std::string& name) const {
  const auto found = mailboxes_.find(name);
  if (found == mailboxes_.end() || found->second.waiting.empty()) {
    return nullptr;
  }
  Claimant* const first = found->second.waiting.front();
  return free_for(*first) ? first : nullptr;
}

// Who is first in the queue of one of these may have been waiting for just this; and where he was
// let in, the next, in each of the queues that he left.
void MailboxLimiter::call(const std::vector<std::string>& mailboxes) {
  Claimant* left = nullptr;  // whose queues are still to be looked at
  const std::vector<std::string>* queues = &mailboxes;
  while (queues != nullptr) {
    for (const std::string& name : *queues) {
      while (Claimant* const next = next_of(name)) {
        grant(*next);
        next->turn.call();
        next->before = std::exchange(left, next);
      }
    }
    queues = left == nullptr ? nullptr : &left->mailboxes;
    left = left == nullptr ? nullptr : left->before;
  }
  for (const std::string& name : mailboxes) {
    const auto found = mailboxes_.find(name);
    if (found != mailboxes_.end() && found->second.in_flight == 0 &&
        found->second.waiting.empty()) {
      mailboxes_.erase(found);
    }
  }
}

Claim MailboxLimiter::claim(std::vector<std::string> mailboxes, Deadline latest) {
  if (limit_ == 0 || mailboxes.empty()) {
    return Claim::unneeded();
  }
  Claim made;
  std::sort(mailboxes.begin(), mailboxes.end());
  mailboxes.erase(std::unique(mailboxes.begin(), mailboxes.end()), mailboxes.end());
  made.mailboxes_ = std::move(mailboxes);
  std::unique_lock lock(mutex_);
  Claimant self{made.mailboxes_, {}};
  for (const std::string& name : made.mailboxes_) {
    mailboxes_[name].waiting.push_back(&self);
  }
  if (free_for(self)) {
    grant(self);
  }
  ++waiting_;
  self.turn.wait_until(lock, latest, [&] { return self.granted; });
  --waiting_;
  made.granted_ = self.granted;
  if (made.granted_) {
    made.limiter_ = this;
  } else {
    leave_queues(self);
    call(made.mailboxes_);
  }
  return made;
}

void MailboxLimiter::give_back(const std::vector<std::string>& mailboxes) {
  const std::lock_guard lock(mutex_);
  for (const std::string& name : mailboxes) {
    --mailboxes_.at(name).in_flight;
  }
  call(mailboxes);
}

std::size_t MailboxLimiter::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

}  // namespace lmtpq::mailer

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

// None of its mailboxes is full, and no earlier claim waits for one of them.
bool MailboxLimiter::can_grant(const Claimant& claimant) const {
  return std::all_of(claimant.mailboxes.begin(), claimant.mailboxes.end(), [&](const auto& name) {
    const Mailbox& mailbox = mailboxes_.at(name);
    return mailbox.in_flight < limit_ && mailbox.waiting.front() == &claimant;
  });
}

void MailboxLimiter::leave_queues(const Claimant& claimant) {
  for (const std::string& name : claimant.mailboxes) {
    std::erase(mailboxes_.at(name).waiting, &claimant);
  }
}

void MailboxLimiter::grant(Claimant& claimant) {
  leave_queues(claimant);
  for (const std::string& name : claimant.mailboxes) {
    ++mailboxes_.at(name).in_flight;
  }
  claimant.granted = true;
}

// The claim that can be granted now; nullptr: there is none.
MailboxLimiter::Claimant* MailboxLimiter::next_of(const std::string& name) const {
  const auto found = mailboxes_.find(name);
  if (found == mailboxes_.end() || found->second.waiting.empty()) {
    return nullptr;
  }
  Claimant* const first = found->second.waiting.front();
  return can_grant(*first) ? first : nullptr;
}

// Grants the first claim of each of these queues, if possible. A granted claim leaves all its
// queues, so the next claims in those are looked at too.
void MailboxLimiter::grant_next(const std::vector<std::string>& mailboxes) {
  Claimant* unchecked = nullptr;  // the last granted claim whose queues are not looked at yet
  const std::vector<std::string>* queues = &mailboxes;
  while (queues != nullptr) {
    for (const std::string& name : *queues) {
      while (Claimant* const next = next_of(name)) {
        grant(*next);
        next->turn.call();
        next->granted_before = std::exchange(unchecked, next);
      }
    }
    queues = unchecked == nullptr ? nullptr : &unchecked->mailboxes;
    unchecked = unchecked == nullptr ? nullptr : unchecked->granted_before;
  }
  for (const std::string& name : mailboxes) {
    const auto found = mailboxes_.find(name);
    if (found != mailboxes_.end() && found->second.in_flight == 0 &&
        found->second.waiting.empty()) {
      mailboxes_.erase(found);
    }
  }
}

Claim MailboxLimiter::claim(std::vector<std::string> mailboxes, const Patience& patience) {
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
  if (can_grant(self)) {
    grant(self);
  }
  ++waiting_;
  self.turn.wait_until(lock, patience, [&] { return self.granted; });
  --waiting_;
  made.granted_ = self.granted;
  if (made.granted_) {
    made.limiter_ = this;
  } else {
    leave_queues(self);
    grant_next(made.mailboxes_);
  }
  return made;
}

void MailboxLimiter::give_back(const std::vector<std::string>& mailboxes) {
  const std::lock_guard lock(mutex_);
  for (const std::string& name : mailboxes) {
    --mailboxes_.at(name).in_flight;
  }
  grant_next(mailboxes);
}

std::size_t MailboxLimiter::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

}  // namespace lmtpq::mailer

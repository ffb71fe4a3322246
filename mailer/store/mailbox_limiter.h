// Limits how many deliveries to one mailbox are in flight.
//
// With more than about ten deliveries to a mailbox, Cyrus and Dovecot reply 451 (cyrus-imapd#5032,
// lmtp_user_concurrency_limit), and each of the others waits for the mailbox's lock. So a delivery
// claims its mailboxes before it takes a connection. A claim gets all its mailboxes at once; claims
// on the same mailbox are granted in the order of asking.
//
// Used by several threads. A Claim must end before its limiter does. A Claim is empty if patience
// ended first.
#pragma once

#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

class MailboxLimiter;

class Claim {
 public:
  Claim() = default;
  static Claim unneeded();  // granted without a limiter
  Claim(Claim&& other) noexcept;
  Claim& operator=(Claim&& other) noexcept;
  ~Claim();
  explicit operator bool() const { return granted_; }

 private:
  friend class MailboxLimiter;
  MailboxLimiter* limiter_ = nullptr;  // nullptr: nothing to give back
  std::vector<std::string> mailboxes_;
  bool granted_ = false;
};

class MailboxLimiter {
 public:
  explicit MailboxLimiter(std::size_t limit = 0) : limit_(limit) {}  // 0: no limit
  Claim claim(std::vector<std::string> mailboxes, const Patience& patience);
  std::size_t waiting() const;

 private:
  friend class Claim;
  struct Claimant {
    const std::vector<std::string>& mailboxes;
    Waiter turn;
    bool granted = false;
    Claimant* granted_before = nullptr;  // by the same grant_next()
  };
  struct Mailbox {
    std::size_t in_flight = 0;
    std::deque<Claimant*> waiting;
  };

  bool can_grant(const Claimant& claimant) const;
  Claimant* next_of(const std::string& name) const;
  void grant(Claimant& claimant);
  void leave_queues(const Claimant& claimant);
  void grant_next(const std::vector<std::string>& mailboxes);
  void give_back(const std::vector<std::string>& mailboxes);

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Mailbox> mailboxes_;  // with deliveries in flight or waiting
  std::size_t waiting_ = 0;
};

}  // namespace lmtpq::mailer

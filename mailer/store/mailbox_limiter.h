// How many deliveries may be in flight for one mailbox.
//
// What it is: claims on mailboxes; who claims several gets all of them at once, in the order of
//   asking wherever two want the same.
// What it does not know: connections, stores.
// Called by: Delivery, before it asks for a connection, which would else be held meanwhile.
// Threads and lifetimes: used by several threads; a Claim must end before its limiter does.
// Failure: an empty Claim, when time was up.
// Why: past some ten deliveries to one mailbox Cyrus and Dovecot answer 451 (cyrus-imapd#5032,
//   lmtp_user_concurrency_limit), and each of them meanwhile waits for the mailbox's lock.
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
  static Claim unneeded();  // granted, by nobody
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
  explicit MailboxLimiter(std::size_t limit = 0) : limit_(limit) {}  // 0: everybody may
  Claim claim(std::vector<std::string> mailboxes, Deadline latest);
  std::size_t waiting() const;

 private:
  friend class Claim;
  struct Claimant {
    const std::vector<std::string>& mailboxes;
    Waiter turn;
    bool granted = false;
    Claimant* before = nullptr;  // let in before him by the same call()
  };
  struct Mailbox {
    std::size_t in_flight = 0;
    std::deque<Claimant*> waiting;
  };

  bool free_for(const Claimant& waiter) const;
  Claimant* next_of(const std::string& name) const;
  void grant(Claimant& waiter);
  void leave_queues(const Claimant& waiter);
  void call(const std::vector<std::string>& mailboxes);
  void give_back(const std::vector<std::string>& mailboxes);

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Mailbox> mailboxes_;  // those in flight or waited for
  std::size_t waiting_ = 0;
};

}  // namespace lmtpq::mailer

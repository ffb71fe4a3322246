// Limits how many deliveries to one mailbox are in flight.
//
// With more than about ten deliveries to a mailbox, Cyrus and Dovecot reply 451 (cyrus-imapd#5032,
// lmtp_user_concurrency_limit), and each of the others waits for the mailbox's lock. So a delivery
// takes a turn at its mailboxes before it takes a connection.
//
// A mailbox that stalls must not hold up others (docs/DECISIONS.md, "The daemon"). So a delivery
// goes on with the turns that it can have now, has a place in line for the others in the meantime,
// and waits only while it has no turn. Turns are given in the order of asking. A delivery that is
// busy with other mailboxes keeps its place, but those after it do not wait for it.
//
// The last quarter of a mailbox's turns (from a limit of 4 on) is for deliveries that have no other
// turn at the time. A store files for one recipient after the other, so a mailbox that stalls holds
// turns of those after it in its transaction, but leaves them some.
//
// The limiter is used by several threads, MailboxTurns by one thread or fiber. The turns must end
// before their limiter does.
#pragma once

#include <atomic>
#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

class MailboxTurns;

class MailboxLimiter {
 public:
  explicit MailboxLimiter(std::size_t limit = 0) : limit_(limit) {}  // 0: no limit
  bool limits() const { return limit_ > 0; }
  // Deliveries that are in flight stay; those in line go on as far as the new limit allows.
  void set_limit(std::size_t limit);
  // Deliveries that wait.
  std::size_t waiting() const;
  // Mailboxes with a delivery in flight or in line; others take no memory.
  std::size_t mailboxes() const;

 private:
  friend class MailboxTurns;
  // Of one delivery at one mailbox.
  struct Turn {
    enum class State { kNone, kInLine, kHeld };
    MailboxTurns* delivery;
    std::string mailbox;
    std::size_t undecided = 0;  // recipients
    State state = State::kNone;
  };
  struct Mailbox {
    std::size_t in_flight = 0;
    std::list<Turn*> line;  // takes no memory while it is empty
  };

  std::size_t in_flight(const Turn& turn) const;
  void hold(Turn& turn);
  void stand_in_line(Turn& turn);
  void give_up(Turn& turn);
  static void leave_line(Mailbox& mailbox, Turn& turn);
  bool let_next_in(Mailbox& mailbox);

  std::size_t most() const { return limit_ > 0 ? limit_.load() : std::string::npos; }
  std::size_t most_shared() const { return most() - most() / 4; }  // of turns beside others

  std::atomic<std::size_t> limit_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Mailbox> mailboxes_;
  std::size_t waiting_ = 0;
};

// The turns of one delivery.
class MailboxTurns {
 public:
  // `mailboxes`: the mailbox_name() of each recipient. None has a turn yet.
  MailboxTurns(MailboxLimiter& limiter, std::vector<std::string> mailboxes);
  ~MailboxTurns();
  MailboxTurns(const MailboxTurns&) = delete;
  MailboxTurns& operator=(const MailboxTurns&) = delete;

  bool has(std::size_t recipient) const;
  bool has_any() const { return held_ > 0; }
  // Takes more turns, those that can be had without waiting. True: has_any().
  bool take_free();
  // The same, and waits for the first turn if it has none. False: patience ended first.
  bool take(const Patience& patience);
  // Gives back the turns that none of these recipients has.
  void keep_only(const std::vector<std::size_t>& recipients);
  // The recipient is decided, and needs no turn any more.
  void end(std::size_t recipient);

 private:
  friend class MailboxLimiter;
  using Turn = MailboxLimiter::Turn;
  using State = Turn::State;

  void take_now();
  bool crowded() const;
  Turn* least_crowded();

  MailboxLimiter& limiter_;
  std::vector<Turn> turns_;           // one for each mailbox; the lines point to them
  std::vector<std::size_t> turn_of_;  // by recipient
  std::size_t held_ = 0;
  Waiter called_;
  bool waits_ = false;  // the next turn that is free is taken for it
};

}  // namespace lmtpq::mailer

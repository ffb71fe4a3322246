// The client's side of an LMTP session (RFC 2033), or of an ESMTP session (RFC 5321), towards the
// store. Bytes in, bytes out.
//
// The client keeps a queue of the replies that the store owes us. A command that is sent adds one,
// the end of data adds one per accepted recipient, and each reply removes the oldest. A reply to an
// empty queue, or one to a command that is not written yet, breaks the connection: with pipelining,
// one reply too many shifts all that follow. The state is then kBroken, with a reason(). Answers
// that came before stay, unless the replies got out of step before the end of data.
//
// One object per connection, used by one thread. The caller moves the bytes and keeps the time.
//
// Rules that are easy to break:
// - RFC 3207, RFC 4954: what the server said before STARTTLS or AUTH does not count after it.
// - RFC 2033 section 4.2: one final reply per accepted recipient, in order. By ESMTP it is one for
//   all of them. 221 is none, although it is 2xx: it answers QUIT.
// - RFC 5321 section 3.8: 421 can come at any time. No reply after it counts; as a final reply it
//   answers all recipients that have none.
// - RFC 2920: a 354 although no recipient was accepted breaks the connection; Cyrus would file an
//   empty message if we sent a lone dot.
// - DATA, not BDAT: the 354 is the only reply of a transaction that cannot be another one's. It
//   proves that the replies are in step before a byte of the message is sent.
// - Cyrus's TRACE: RSET clears the id, so RSET begins every transaction but the first.
// - A refusal of MAIL that is about the session (refuses_session()) breaks a connection that had a
//   transaction before, and nobody has an answer: the message has not been tried yet.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/tag/trace_id.h"
#include "mailer/lmtp/auth_dialogue.h"
#include "mailer/lmtp/capabilities.h"
#include "mailer/lmtp/envelope.h"
#include "mailer/lmtp/reply.h"

namespace lmtpq::mailer {

enum class Protocol {
  kLmtp,
  kSmtp,  // EHLO, and neither TRACE nor IGNOREQUOTA, whatever is offered
};

enum class Awaited {
  kGreeting,
  kLhlo,
  kStarttls,
  kAuth,
  kRset,
  kTrace,
  kMail,
  kRcpt,
  kData,
  kFinal,
  kQuit
};
inline constexpr const char* kAwaitedNames[] = {"greeting", "LHLO",        "STARTTLS", "AUTH",
                                                "RSET",     "TRACE",       "MAIL",     "RCPT",
                                                "DATA",     "end of data", "QUIT"};

enum class ClientState {
  kOpening,     // greeting, LHLO, STARTTLS, AUTH: a reply is awaited
  kHandshake,   // the server awaits TLS: no more bytes may come before it
  kChallenged,  // the server awaits our answer within AUTH
  kLoggedIn,    // AUTH is done; the next byte from the server may be in a security layer
  kReady,       // no transaction is open
  kEnvelope,    // TRACE, MAIL, RCPT, DATA are in progress
  kBody,        // a recipient is accepted, and so is DATA: send the message
  kFinal,       // the message was sent completely
  kBroken,      // do not use the connection again
};
inline constexpr const char* kClientStateNames[] = {"opening",   "handshake", "challenged",
                                                    "logged in", "ready",     "envelope",
                                                    "body",      "final",     "broken"};

struct Transaction {
  enum class Purpose {
    kDeliver,
    kAsk,    // MAIL and RCPT only; the reply to RCPT is the recipient's answer
    kTrace,  // TRACE only, and RSET, which clears the id
  };
  Mailbox sender;
  BodyType body = BodyType::kUnstated;
  AddressCharset charset = AddressCharset::kAscii;
  std::optional<std::uint64_t> size;  // to declare; sent to a server that offers SIZE
  TraceId trace;                      // empty: none
  Hops hops;                          // sent to a server that offers XLMTPQ
  std::vector<Recipient> recipients;
  Purpose purpose = Purpose::kDeliver;
};

// The server's reply about one recipient, and to which command it was.
struct Answer {
  Awaited stage;
  Reply reply;
};

class LmtpClient {
 public:
  // How many commands may wait for their replies, with a server that offers PIPELINING. Enough for
  // one flight per transaction, and a bound on what a server must buffer.
  static constexpr std::size_t kPipelineWindow = 100;

  // `window` 1: one command at a time, whatever is offered.
  explicit LmtpClient(std::string name, std::size_t window = kPipelineWindow,
                      Protocol protocol = Protocol::kLmtp);

  void receive(std::string_view bytes);
  // Bytes to write. The caller erases what it has written from the front; the rest counts as not
  // sent, and a reply to it breaks the connection.
  std::string& output() { return output_.unwritten; }
  // The connection died or time is up. Recipients without an answer stay without one.
  void lost(std::string reason);

  // In kReady: STARTTLS. Ends in kHandshake, or in kReady with a refusal().
  void start_tls();
  // In kReady: AUTH, with the initial response if the mechanism has one. Ends in kChallenged,
  // kLoggedIn, or in kReady with a refusal(). Bytes, not base64. The password is needed to
  // recognize a server that repeats it.
  void authenticate(std::string_view mechanism, const std::optional<std::string>& initial,
                    std::string_view password);
  // In kChallenged: the answer to challenge(). Empty: cancel the login; the server will refuse it.
  void respond(const std::optional<std::string>& answer);
  const std::string& challenge() const { return auth_->challenge; }
  // The reply to the last STARTTLS or AUTH if the server refused it; without text that repeats our
  // password.
  const std::optional<Reply>& refusal() const { return refusal_; }
  // In kHandshake, when TLS is established, and in kLoggedIn: sends LHLO again, and forgets what
  // was offered before.
  void start_over();
  // From AUTH to its last reply: do not show anyone what is sent or received.
  bool confidential() const { return auth_.has_value(); }

  // In kReady.
  void begin(const Transaction& transaction);
  // In kBody: call it when the whole message, dot-stuffed, and its final dot have been written. Not
  // earlier: a reply that comes before it answers an incomplete message.
  void end_of_data();
  // In kFinal: the only reply so far refused the message as such (552 5.2.3 or 5.3.4), and whether
  // there will be others can be asked. Cyrus sends no other, however many recipients there are.
  bool message_refused() const;
  // Asks it, by QUIT: its reply comes after those for the other recipients. In place of the first
  // of them it proves that the refusal was for all, and is their answer, with a remark. Ends the
  // connection in either case.
  void quit_after_refusal();
  // In kReady only: elsewhere it could become part of the message.
  void quit();

  ClientState state() const { return state_; }
  const std::string& reason() const { return reason_; }
  // Which reply was the next when the connection broke, or broke it by a 421; nullopt: none.
  const std::optional<Awaited>& lost_at() const { return lost_at_; }
  // The reply that broke the connection, if a reply did.
  const std::optional<Reply>& breaking_reply() const { return breaking_reply_; }
  // The 421 with which the server ended the connection, and the command that it answered.
  const std::optional<Answer>& goodbye() const { return goodbye_; }
  std::optional<Awaited> awaited() const;           // the oldest expected reply
  const char* name_of(Awaited reply) const;         // for texts: "RCPT"
  std::size_t replies() const { return replies_; }  // received so far; a new one restarts timers
  bool used() const { return used_; }               // had a transaction: RSET comes before the next
  // Another transaction may begin. Not after a part of a reply, which would be read as its first.
  bool reusable() const {
    return state_ == ClientState::kReady && expected_.empty() && !parser_.amid();
  }

  const Reply& greeting() const { return greeting_; }
  const Capabilities& capabilities() const { return capabilities_; }
  const std::string& session() const { return session_; }  // the latest SESSIONID
  const std::optional<Reply>& trace_refusal() const { return transaction_.trace_refusal; }
  // Of a transaction of kTrace: the reply to TRACE, also if it is positive.
  const std::optional<Reply>& trace_reply() const { return transaction_.trace_reply; }
  // One entry per recipient of the transaction, in order.
  const std::vector<std::optional<Answer>>& answers() const { return transaction_.answers; }

 private:
  // A command that is not sent yet.
  struct Command {
    Awaited reply;
    std::string line;
    std::size_t recipient = 0;  // of RCPT
  };
  // A reply that the store owes us.
  struct Expected {
    Awaited reply;
    std::size_t recipient = 0;      // of RCPT and of a final reply
    std::uint64_t command_end = 0;  // where its command ends among all bytes of output
  };
  struct Output {
    std::string unwritten;
    std::uint64_t end = 0;  // of all bytes that were ever put into it
    std::uint64_t written() const { return end - unwritten.size(); }
  };
  // The current transaction, or the last one.
  struct Progress {
    Transaction::Purpose purpose = Transaction::Purpose::kDeliver;
    std::vector<bool> accepted;  // at RCPT
    std::vector<std::optional<Answer>> answers;
    std::optional<Reply> trace_refusal;
    std::optional<Reply> trace_reply;
    bool follows_another = false;  // on the same connection
    // All replies before the end of data came, and in step: later trouble leaves their answers.
    bool envelope_done = false;
    std::size_t finals = 0;                // replies to the end of data so far
    std::optional<Reply> message_refusal;  // the first of them, if it refuses the message as such
    std::string closing;  // why the connection ends with this transaction; empty: it does not
    bool quit = false;    // QUIT was sent after message_refusal

    void begin(const Transaction& transaction);
    bool awaits_final(std::size_t recipient) const {
      return accepted[recipient] && !answers[recipient];
    }
    bool anyone_accepted() const;
    bool all_answered() const;
    // As the answer of all recipients that have none.
    void answer_remaining(Awaited stage, const Reply& reply);
    // As much of a reply as is kept: an outcome shows a line, a question shows all of it.
    Reply kept(const Reply& reply) const;
  };

  std::size_t window() const { return capabilities_.offers("PIPELINING") ? window_ : 1; }
  void queue_commands(const Transaction& transaction);
  void send(const Command& command);
  void pump();
  void end_transaction();
  bool pointless(const Command& command) const;
  bool amid_reply(const char* before);

  void handle(const Reply& reply);
  void dispatch(const Expected& expected, const Reply& reply);
  void say_hello();
  void handle_greeting(const Reply& reply);
  void handle_lhlo(const Reply& reply);
  void handle_starttls(const Reply& reply);
  void handle_auth(const Reply& reply);
  void handle_challenge(const Reply& reply);
  void handle_rset(const Reply& reply);
  void handle_trace(const Reply& reply);
  void handle_mail(const Reply& reply);
  void handle_rcpt(std::size_t recipient, const Reply& reply);
  void handle_data(const Reply& reply);
  void handle_final(std::size_t recipient, const Reply& reply);
  void handle_closing(const Reply& reply);
  void handle_unexpected(const Reply& reply);
  void broken_by(const Reply& reply, std::string reason);
  // It is no longer known which reply belongs to which recipient.
  void out_of_step(std::string reason);

  std::string name_;
  std::size_t window_;
  Protocol protocol_;
  ClientState state_ = ClientState::kOpening;
  bool used_ = false;
  std::deque<Command> unsent_;
  std::deque<Expected> expected_;
  Output output_;
  ReplyParser parser_;
  std::size_t replies_ = 0;
  std::string reason_;
  std::optional<Awaited> lost_at_;
  std::optional<Reply> breaking_reply_;
  std::optional<Answer> goodbye_;

  Reply greeting_;
  Capabilities capabilities_;
  std::string session_;
  std::optional<AuthDialogue> auth_;
  std::optional<Reply> refusal_;
  Progress transaction_;
};

}  // namespace lmtpq::mailer

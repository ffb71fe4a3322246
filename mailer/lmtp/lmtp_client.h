// The client's side of an LMTP session (RFC 2033): what talks to the store.
//
// What it is: a queue of expected replies. A command that is sent puts one on it (the final dot one
//   per accepted recipient), a reply takes the oldest off; a reply nobody waits for breaks the
//   connection. Bytes in, bytes out.
// What it does not know: sockets, time, where the message is kept, other connections, whether a
//   reply is good or bad news for the mail (outcome.h).
// Called by: Upstream, which moves the bytes and keeps the deadlines.
// Threads and lifetimes: one object a connection, one thread.
// Failure: state kBroken with a reason. What was answered before stays answered, unless the replies
//   got out of step before the dot: with pipelining a doubled one shifts all that follow.
// Rules: RFC 3207 and RFC 4954 (STARTTLS, AUTH: what the server said before counts no more),
//   RFC 2033 section 4.2 (one reply per accepted recipient, in order), RFC 2920 (pipelining:
//   but never a lone dot to a 354 that no recipient earned: Cyrus would file an empty message),
//   Cyrus's TRACE (RSET clears the id, so RSET opens every transaction but a connection's first),
//   RFC 3030 (BDAT: one reply a chunk; of LMTP's last one, one per accepted recipient, and a single
//   one where nobody was accepted).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret.h"
#include "common/tag/trace_id.h"
#include "mailer/lmtp/capabilities.h"
#include "mailer/lmtp/envelope.h"
#include "mailer/lmtp/reply.h"

namespace lmtpq::mailer {

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
  kBdat,  // a chunk, or the last one while nobody knows who is accepted
  kFinal,
  kQuit
};
inline constexpr const char* kAwaitedNames[] = {"greeting", "LHLO",  "STARTTLS",    "AUTH",
                                                "RSET",     "TRACE", "MAIL",        "RCPT",
                                                "DATA",     "BDAT",  "end of data", "QUIT"};

enum class ClientState {
  kOpening,     // greeting, LHLO, STARTTLS, AUTH: a reply is awaited
  kHandshake,   // the server awaits TLS: not a byte more may come in clear
  kChallenged,  // the server awaits our answer within AUTH
  kLoggedIn,    // AUTH is done; the next byte from the server may be in a security layer
  kReady,       // no transaction is open
  kEnvelope,    // TRACE, MAIL, RCPT, DATA are under way (in one flight: the message, too)
  kBody,        // somebody is accepted, and DATA if it was sent: the message is to be sent
  kFinal,       // the dot is out
  kBroken,      // never to be used again
};
inline constexpr const char* kClientStateNames[] = {"opening",   "handshake", "challenged",
                                                    "logged in", "ready",     "envelope",
                                                    "body",      "final",     "broken"};

// How the message goes. What is not offered falls back on what stands above it.
enum class MessageForm {
  kData,       // behind DATA's 354, with a dot at its end
  kChunks,     // BDAT, when it is known who is accepted (CHUNKING)
  kOneFlight,  // one BDAT right behind RCPT (CHUNKING and PIPELINING)
};

struct Transaction {
  enum class Purpose {
    kDeliver,
    kAsk,  // MAIL and RCPT only: what would you say? Each accepted recipient is answered at RCPT
  };
  Mailbox sender;
  BodyType body = BodyType::kUnstated;
  AddressCharset charset = AddressCharset::kAscii;
  std::optional<std::uint64_t> size;  // to declare; sent to a server that offers SIZE
  TraceId trace;                      // empty: none
  std::vector<Recipient> recipients;
  Purpose purpose = Purpose::kDeliver;
  MessageForm form = MessageForm::kData;
  std::string message;  // for kOneFlight: all of it, canonical
};

// What the server said about one recipient, and to which command.
struct Answer {
  Awaited stage;
  Reply reply;
};

class LmtpClient {
 public:
  // How many commands may wait for their replies, with a server that offers PIPELINING. Enough for
  // one flight per transaction, and a bound on what a server must buffer.
  static constexpr std::size_t kPipelineWindow = 100;

  // `window` 1: one command at a time whatever is offered.
  explicit LmtpClient(std::string name, std::size_t window = kPipelineWindow);

  void receive(std::string_view bytes);
  // To be written; the caller erases from its front what was. What stands here is unsent, and a
  // reply to it is early.
  std::string& output() { return output_; }
  // The connection died or time is up; whatever is unanswered stays so.
  void lost(std::string reason);

  // In kReady: STARTTLS. Ends in kHandshake, or in kReady with a refusal().
  void start_tls();
  // In kReady: AUTH, with the initial response if the mechanism has one. Ends in kChallenged,
  // kLoggedIn, or in kReady with a refusal(). Bytes, not base64. The password is for recognizing a
  // server that repeats it.
  void authenticate(std::string_view mechanism, const std::optional<std::string>& initial,
                    std::string_view password);
  // In kChallenged: the answer to challenge(); nothing: we give up, and the server will refuse.
  void respond(const std::optional<std::string>& answer);
  const std::string& challenge() const { return challenge_; }
  // What the server said to the last STARTTLS or AUTH that it refused; without its text where that
  // repeats what we said in confidence.
  const std::optional<Reply>& refusal() const { return refusal_; }
  // In kHandshake, when TLS is there, and in kLoggedIn: LHLO anew; what was offered is forgotten.
  void start_over();
  // From AUTH to its last reply: what goes either way is nobody's business.
  bool confidential() const { return confidential_; }

  // In kReady.
  void begin(Transaction transaction);
  // Of the transaction that begin() began.
  MessageForm form() const { return form_; }
  // In kBody, when the whole message, dot-stuffed, and its final dot have been written, or the last
  // byte of the last chunk. Called no earlier: a reply that came before is one to an unfinished
  // message.
  void end_of_data();
  // In kBody, when a chunk that is not the last has been written; likewise.
  void end_of_chunk();
  // Of chunks that are done how many may be unanswered: without PIPELINING none.
  bool may_send_chunk() const { return expected_.size() < window(); }
  // In one flight: is the message's last byte out (the store may have filed it)? And how much of
  // what stands in output() is commands, which a transcript shows?
  bool flight_out() const { return flight_end_ > 0 && written() >= flight_end_; }
  std::size_t commands_in_output() const;
  // In kFinal: true when the one reply so far refused the message as such (552 5.2.3 or 5.3.4).
  // Cyrus gives no other then, whatever the recipients, so the wait for more may be cut short.
  bool message_refused() const;
  // Takes that reply as everyone's, and breaks the connection.
  void conclude_refused();
  // In kReady only: elsewhere it could become part of the message, or stand behind its dot.
  void quit();

  ClientState state() const { return state_; }
  const std::string& reason() const { return reason_; }
  // The reply that broke the connection, when a reply did.
  const std::optional<Reply>& breaking_reply() const { return breaking_reply_; }
  std::optional<Awaited> awaited() const;           // the oldest expected reply
  std::size_t replies() const { return replies_; }  // received so far; a new one restarts timers
  bool used() const { return used_; }               // had a transaction: RSET comes before the next
  // May another transaction begin? Not after half a reply, which would become that one's first.
  bool reusable() const {
    return state_ == ClientState::kReady && expected_.empty() && !parser_.amid();
  }

  const Reply& greeting() const { return greeting_; }
  const Capabilities& capabilities() const { return capabilities_; }
  const std::string& session() const { return session_; }  // the latest SESSIONID
  const std::optional<Reply>& trace_refusal() const { return trace_refusal_; }
  // One entry per recipient of the transaction, in order.
  const std::vector<std::optional<Answer>>& answers() const { return answers_; }

 private:
  struct Step {
    Awaited what;
    std::size_t recipient = 0;  // of BDAT in one flight: the message's size
    std::string line;
    std::uint64_t end = 0;  // where its line ends among all bytes of output
  };

  std::size_t window() const { return capabilities_.offers("PIPELINING") ? window_ : 1; }
  std::uint64_t written() const { return output_end_ - output_.size(); }
  void queue_envelope(const Transaction& transaction);
  void queue_message(Transaction& transaction);
  void send(Step step);
  void pump();
  void end_envelope();
  void end_transaction();
  bool pointless(const Step& step) const;
  void handle(const Reply& reply);
  void handle_opening(Awaited what, const Reply& reply);
  void handle_starttls(const Reply& reply);
  void handle_auth(const Reply& reply);
  bool half_heard(const char* before);
  void say_in_confidence(const std::string& bytes);
  Reply veiled(Reply reply) const;
  void handle_rcpt(std::size_t recipient, const Reply& reply);
  void handle_data(const Reply& reply);
  void handle_bdat(const Reply& reply);
  void expect_finals();
  void handle_final(std::size_t recipient, const Reply& reply);
  void handle_unawaited(const Reply& reply);
  void answer_rest(Awaited stage, const Reply& reply);
  bool anyone_accepted() const;
  void broken_by(const Reply& reply, std::string reason);
  // The store has lost step: which reply meant which recipient is anybody's guess.
  void out_of_step(std::string reason);

  std::string name_;
  std::size_t window_;
  ClientState state_ = ClientState::kOpening;
  bool used_ = false;
  std::deque<Step> expected_;  // sent; the line is gone
  std::deque<Step> unsent_;
  ReplyParser parser_;
  std::size_t replies_ = 0;
  std::string output_;
  std::uint64_t output_end_ = 0;  // bytes that ever stood in output_
  std::string reason_;
  std::optional<Reply> breaking_reply_;

  Transaction::Purpose purpose_ = Transaction::Purpose::kDeliver;
  MessageForm form_ = MessageForm::kData;
  std::uint64_t flight_begin_ = 0;  // in one flight: where among all bytes of output the message
  std::uint64_t flight_end_ = 0;    // stands; 0: it does not
  Reply greeting_;
  Capabilities capabilities_;
  std::string session_;
  std::optional<Reply> refusal_;
  std::string challenge_;
  std::optional<std::string> late_initial_;  // an initial response too long for AUTH's line
  bool confidential_ = false;
  std::vector<Secret> said_;  // within AUTH, in every form in which it could come back
  std::optional<Reply> trace_refusal_;
  std::optional<Reply> first_final_;
  int finals_ = 0;            // replies to the end of data so far
  std::string spent_;         // why the connection ends with this transaction; empty: it does not
  bool asks_finals_ = false;  // all before the end of data is heard, and so far in step
  std::vector<bool> accepted_;
  std::vector<std::optional<Answer>> answers_;
};

}  // namespace lmtpq::mailer

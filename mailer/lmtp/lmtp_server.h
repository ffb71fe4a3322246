// The server's side of an LMTP session (RFC 2033), towards Sendmail and other clients. Bytes in;
// reply bytes and events out.
//
// A table of verbs and states. MAIL, RCPT and DATA are answered at once; the replies to the end of
// data, one for each recipient, are the caller's, which then calls answered(). One object per
// client connection, one thread. It cannot fail: a client's error gets a reply, and the session
// goes on.
//
// RFC 2033, RFC 5321 section 4.1. Because of Sendmail:
// - DATA is never refused with 5xx while there is a recipient;
// - each reply is one line with an enhanced status;
// - 421 is sent only before DATA, and only to end the session: after the end of data it would
//   cost the other recipients their answers.
// IGNOREQUOTA and TRACE work as in Cyrus: a trace id also applies to the messages that follow,
// until RSET.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mailer/lines/dot_stuffing.h"
#include "mailer/lmtp/command.h"
#include "mailer/lmtp/envelope.h"
#include "mailer/memory/memory_budget.h"

namespace lmtpq::mailer {

enum class ServerState {
  kGreeted,   // LHLO is awaited
  kReady,     // no transaction
  kMail,      // there is a sender
  kRcpt,      // there is at least one recipient
  kData,      // message bytes are arriving
  kDeciding,  // the message is complete; answered() is awaited
  kClosed,    // QUIT was answered, or 421 was sent
};
inline constexpr const char* kServerStateNames[] = {"greeted", "ready",    "mail",  "rcpt",
                                                    "data",    "deciding", "closed"};

enum class ServerEvent {
  kNeedInput,  // all input is consumed: write output(), then read
  kBody,       // message bytes are in body(): take them, then go on
  kMessage,    // the message is complete: deliver envelope(), then call answered()
  kClosed,     // write output() and close the connection
};

// The extensions that a client is offered beyond those that every client gets: a set, chosen per
// session.
//
// PIPELINING (RFC 2920) must never be offered to Sendmail: its 8.17 can credit a pipelined reply to
// the wrong recipient. Other clients may insist on it (RFC 2033 section 5). LIMITS (RFC 9422) names
// the limits that we enforce. IGNOREQUOTA and TRACE are for clients that may overfill a mailbox, or
// name a delivery in our logs.
enum class Offer : unsigned { kPipelining = 1, kIgnoreQuota = 2, kTrace = 4, kLimits = 8 };

class Offers {
 public:
  constexpr Offers() = default;
  constexpr Offers(std::initializer_list<Offer> offers) {
    for (const Offer offer : offers) {
      add(offer);
    }
  }
  constexpr void add(Offer offer) { bits_ |= static_cast<unsigned>(offer); }
  constexpr bool has(Offer offer) const { return (bits_ & static_cast<unsigned>(offer)) != 0; }
  bool operator==(const Offers&) const = default;

 private:
  unsigned bits_ = 0;
};

// Why the client may not go on; 421 has the status and the text.
struct Objection {
  EnhancedStatus status;
  std::string text;
};

struct ServerLimits {
  std::string name;                       // ours, for the greeting and LHLO
  std::size_t max_recipients = 1000;      // more get 452 4.5.3
  std::optional<std::uint64_t> max_size;  // offered as SIZE when set
  TextRules text{};
  Offers offers{};
  std::string mark;  // for loop detection (hops.h); empty: none, and XLMTPQ is not offered
  // This many commands may come in a row without a message; the next one gets 421 4.7.0. RCPT in a
  // transaction counts only if it is malformed. 0: no limit.
  std::size_t max_idle_commands = 0;
  // MAIL and RCPT get 452 4.3.1 when it has no room for them; nullptr: no limit.
  MemoryBudget* memory = nullptr;
  // Asked at LHLO, MAIL and RSET: what the client may do can change during the session. nullptr:
  // nobody objects.
  std::function<std::optional<Objection>()> judge = nullptr;
};

class LmtpServer {
 public:
  explicit LmtpServer(ServerLimits limits);

  // Consumes from `input` up to the next event.
  ServerEvent advance(std::string_view& input);
  // Bytes to write; the caller clears it.
  std::string& output() { return output_; }
  // Canonical message bytes since the last kBody; the caller clears it.
  std::string& body() { return body_; }
  // What the message at hand has taken.
  MemoryShare& memory() { return memory_; }
  // Of the complete message, until answer().
  TextReport text_report() const { return decoder_ ? decoder_->report() : TextReport(); }
  const Envelope& envelope() const { return envelope_; }
  // The caller has the replies for all recipients, and writes them before other output. Returns the
  // message's envelope.
  Envelope answered();
  // We are stopping: the next MAIL or RSET gets 421 4.3.2. An open transaction continues to its
  // end, and a client that has just connected, or is between LHLO or RSET and MAIL, may still send
  // that message: Sendmail tests a connection by RSET, and defers the mail when LHLO or MAIL gets
  // 421.
  void drain() { draining_ = true; }
  // The client connected, or LHLO or RSET was answered, before drain(), and MAIL has not come.
  bool awaits_mail() const { return awaits_mail_; }
  // The session ends: the next command gets 421 4.3.2, and QUIT its reply.
  void end() { ending_ = true; }
  bool ending() const { return ending_; }
  // Sends 421 and ends the session. Does nothing from DATA on.
  void close(const EnhancedStatus& status, std::string_view text);
  ServerState state() const { return state_; }

 private:
  struct Rule;
  static const Rule kRules[];

  // The input line that is being collected. The tail of one that is too long is dropped, so that it
  // cannot be read as a command.
  struct Line {
    std::string text;
    bool too_long = false;

    // Consumes from `input` up to the line's end; false: it has not come yet.
    bool take(std::string_view& input);
  };

  bool take_data(std::string_view& input);
  void handle(const Line& line);
  void handle_too_long(std::string_view line);
  void handle_command(std::string_view line);
  bool count_idle_command();
  bool take_memory(std::size_t bytes);
  bool object(Verb verb);
  void end_transaction();
  void reply(int code, const EnhancedStatus& status, std::string_view text);
  void refuse(const Refusal& refusal);

  void lhlo(std::string_view name);
  void helo(std::string_view name);
  void mail(std::string_view argument);
  bool loops(const MailArguments& mail);
  void rcpt(std::string_view argument);
  void data(std::string_view argument);
  void rset(std::string_view argument);
  void noop(std::string_view argument);
  void vrfy(std::string_view argument);
  void quit(std::string_view argument);
  void trace(std::string_view argument);
  void http(std::string_view);

  ServerLimits limits_;
  MemoryShare memory_;
  ServerState state_ = ServerState::kGreeted;
  Envelope envelope_;
  TraceId trace_;  // kept from message to message
  bool draining_ = false;
  bool ending_ = false;
  bool awaits_mail_ = true;
  std::size_t idle_commands_ = 0;
  std::optional<DataDecoder> decoder_;
  Line line_;
  std::string output_;
  std::string body_;
};

}  // namespace lmtpq::mailer

// The server's side of an LMTP session (RFC 2033): what Sendmail talks to.
//
// What it is: a table of verbs and states; bytes in, reply bytes and events out. MAIL, RCPT and
//   DATA are answered here and now; the recipients' fate is answered after the dot, by answer().
//   What is offered beyond the usual (Offers) is chosen per session.
// What it does not know: sockets, time, the store, where the message is kept.
// Called by: a session (stdio today), which feeds it and does what its events ask for.
// Threads and lifetimes: one object a client connection, one thread.
// Failure: there is none on this floor; a client's mistake is answered and the session goes on.
// Rules: RFC 2033, RFC 5321 section 4.1; and of Sendmail: DATA is never refused with 5xx while
//   there is a recipient, each reply is one line with an enhanced status, 421 comes before DATA
//   only, and only where the session is to end: behind the dot it would cost the other recipients
//   their answers. IGNOREQUOTA and TRACE as Cyrus has them: a trace id stays for the messages
//   that follow, until RSET.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mailer/lmtp/command.h"
#include "mailer/lmtp/data.h"
#include "mailer/lmtp/envelope.h"
#include "mailer/lmtp/offers.h"

namespace lmtpq::mailer {

enum class ServerState {
  kGreeted,   // LHLO is awaited
  kReady,     // no transaction
  kMail,      // a sender is known
  kRcpt,      // at least one recipient is known
  kData,      // message bytes are arriving
  kDeciding,  // the message is complete; answer() is awaited
  kClosed,    // QUIT was answered, or 421 said
};
inline constexpr const char* kServerStateNames[] = {"greeted", "ready",    "mail",  "rcpt",
                                                    "data",    "deciding", "closed"};

enum class ServerEvent {
  kNeedInput,  // all input is consumed: write output(), then read
  kBody,       // message bytes stand in body(): take them, then go on
  kMessage,    // the message has ended: deliver envelope(), then answer()
  kClosed,     // write output() and go
};

struct ServerLimits {
  std::string name;                       // ours, for the greeting and LHLO
  std::size_t max_recipients = 1000;      // more get 452 4.5.3
  std::optional<std::uint64_t> max_size;  // offered as SIZE when set
  std::size_t line_limit = Canonical::kDefaultLineLimit;
  Offers offers{};
  // So many commands may come in a row without a message; the next one gets 421 4.7.0. RCPT in a
  // transaction counts only when it is malformed. 0: no limit.
  std::size_t max_idle_commands = 0;
};

class LmtpServer {
 public:
  explicit LmtpServer(ServerLimits limits);

  // Consumes from `input` up to the next event.
  ServerEvent advance(std::string_view& input);
  // What is to be written; the caller clears it.
  std::string& output() { return output_; }
  // Message bytes, canonical, since the last kBody; the caller clears it.
  std::string& body() { return body_; }
  const Envelope& envelope() const { return envelope_; }
  // Reply lines for all recipients in the envelope's order, each made by reply_line().
  void answer(const std::vector<std::string>& replies);
  // We are going: the next MAIL gets 421 4.3.2. A transaction that is open goes on to its end.
  void drain() { draining_ = true; }
  // 421 and the end, of our own accord; elsewhere than before DATA it does nothing.
  void goodbye(const EnhancedStatus& status, std::string_view text);
  ServerState state() const { return state_; }

 private:
  struct Rule;
  static const Rule kRules[];

  void command(std::string_view line);
  bool idles_too_long();
  bool take_line(std::string_view& input);
  void reply(int code, const EnhancedStatus& status, std::string_view text);
  void refuse(const Refusal& refusal);
  void too_long();

  void lhlo(std::string_view name);
  void helo(std::string_view name);
  void mail(std::string_view argument);
  void rcpt(std::string_view argument);
  void data(std::string_view argument);
  void rset(std::string_view argument);
  void noop(std::string_view argument);
  void vrfy(std::string_view argument);
  void quit(std::string_view argument);
  void trace(std::string_view argument);

  ServerLimits limits_;
  ServerState state_ = ServerState::kGreeted;
  Envelope envelope_;
  TraceId trace_;  // over messages
  bool draining_ = false;
  std::size_t idle_commands_ = 0;
  std::optional<DataDecoder> decoder_;
  std::string line_;
  bool line_overflow_ = false;
  std::string output_;
  std::string body_;
};

}  // namespace lmtpq::mailer

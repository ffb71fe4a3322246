// Replies of an LMTP server, and the parser that reads them from bytes.
//
// What it is: Reply (code, enhanced status, lines), ReplyParser (resumable: any cut of the bytes
//   gives the same replies), and the printer of the one-line replies that we send.
// What it does not know: which command a reply answers, sockets, time.
// Called by: LmtpClient (parses), LmtpServer and outcome (print).
// Threads and lifetimes: values; a parser belongs to one connection.
// Failure: ReplyParser::Result::kBad with a reason; the connection cannot be read on from there.
// Rules: RFC 5321 section 4.2, RFC 2034 and RFC 3463 (enhanced status codes).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lmtpq::mailer {

struct EnhancedStatus {  // RFC 3463: class "." subject "." detail
  int klass = 0;
  int subject = 0;
  int detail = 0;
  bool operator==(const EnhancedStatus&) const = default;
  std::string text() const;
  // Takes a status from the front of `text`, with the spaces behind it.
  static std::optional<EnhancedStatus> take(std::string_view& text);
};

struct Reply {
  int code = 0;
  std::optional<EnhancedStatus> status;  // only one whose class fits the code
  std::vector<std::string> lines;        // in order; printable ASCII, without code and status
  std::vector<std::size_t> detailed;     // which of them carried the status

  int klass() const { return code / 100; }
  bool positive() const { return klass() == 2; }
  // All lines as one: those that carried the enhanced status, "; ", the rest. The former first,
  // since a reader of the log (and Sendmail, which keeps one line) wants the detail before the
  // explanation.
  std::string text() const;
  // "452 4.2.2 Over quota", for logs.
  std::string summary() const;
};

// The value of `SESSIONID=<...>`, which Cyrus puts into LHLO, RSET and final replies; else "".
std::string session_id(const Reply& reply);

// Longest line we ever send, CRLF included: under RFC 5321's 512 (section 4.5.3.1.5). Sendmail
// would take the tail of a line over 2,047 bytes as another reply.
inline constexpr std::size_t kMaxReplyLine = 510;

// "code status text\r\n", cut to kMaxReplyLine, anything but printable ASCII replaced by '?'.
std::string reply_line(int code, const EnhancedStatus& status, std::string_view text);

// With '?' for all that is not printable ASCII.
std::string printable(std::string_view text);

class ReplyParser {
 public:
  enum class Result { kNeedMore, kReply, kBad };
  // What is kept of a longer line or reply is cut off; beyond kMaxReply the peer is mad.
  static constexpr std::size_t kMaxKeptLine = 1000;
  static constexpr std::size_t kMaxKept = 8192;
  static constexpr std::size_t kMaxReply = 4u << 20;
  static constexpr std::size_t kMaxChallenge = 12288;  // base64 (RFC 4954 section 4)

  // Within AUTH no line is cut off: one over kMaxChallenge is kBad.
  void expect_challenges(bool expected) { challenges_ = expected; }

  // Consumes from `input` up to the end of one reply. After kReply take it with `take()`.
  Result parse(std::string_view& input);
  Reply take();
  // True when part of a reply has been consumed.
  bool amid() const { return seen_ > 0; }
  const std::string& bad_reason() const { return bad_reason_; }

 private:
  Result end_line();
  Result bad(std::string reason);

  Reply reply_;
  std::string line_;
  std::size_t seen_ = 0;
  std::size_t kept_ = 0;
  bool challenges_ = false;
  std::string bad_reason_;
};

}  // namespace lmtpq::mailer

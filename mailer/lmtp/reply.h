// Replies of an LMTP server: the parser that reads them, and the printer of those that we send.
//
// ReplyParser is resumable: however the bytes are cut into pieces, it gives the same replies. One
// parser per connection. Everything else here is a value or a pure function.
//
// RFC 5321 section 4.2; RFC 2034 and RFC 3463 (enhanced status codes).
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
  // Takes a status from the front of `text`, with the blanks after it.
  static std::optional<EnhancedStatus> take(std::string_view& text);
};

struct Reply {
  int code = 0;
  // Its class is always the code's. Stores disagree with themselves about the class of a refusal
  // (452 5.2.2); the code decides then. Any other class that does not fit is text.
  std::optional<EnhancedStatus> status;
  std::vector<std::string> lines;     // in order; printable ASCII, without code and status
  std::vector<std::size_t> detailed;  // which of them carried the status
  int odd_class = 0;                  // the class that the status was sent with; 0: the code's

  int klass() const { return code / 100; }
  bool positive() const { return klass() == 2; }
  bool negative() const { return klass() == 4 || klass() == 5; }
  // All lines as one: those that carried the enhanced status, "; ", the others. The detail comes
  // before the explanation, because Sendmail keeps only one line.
  std::string text() const;
  // "452 4.2.2 Over quota", as it was sent, for logs.
  std::string summary() const;
};

// The value of `SESSIONID=<...>`, which Cyrus puts into its replies to LHLO and RSET and into final
// replies; empty if there is none.
std::string session_id(const Reply& reply);

// The longest line we ever send, CRLF included: below RFC 5321's 512 (section 4.5.3.1.5). Sendmail
// would take the tail of a line over 2,047 bytes as another reply.
inline constexpr std::size_t kMaxReplyLine = 510;

// At most `most` bytes of a store's text: what we keep, log and pass on. A store can make each of a
// thousand replies kilobytes long.
std::string capped(std::string text, std::size_t most = kMaxReplyLine);
// The same reply with all its text in one line, capped.
Reply capped(const Reply& reply);

// "code status text\r\n", cut to kMaxReplyLine, made printable.
std::string reply_line(int code, const EnhancedStatus& status, std::string_view text);

// With a space for a TAB, and '?' for all else that is not printable ASCII.
std::string printable(std::string_view text);

class ReplyParser {
 public:
  enum class Result { kNeedMore, kReply, kBad };
  // Longer lines and replies are cut off; one of more than kMaxReply bytes is kBad.
  static constexpr std::size_t kMaxKeptLine = 1000;
  static constexpr std::size_t kMaxKept = 8192;
  static constexpr std::size_t kMaxReply = 4u << 20;
  static constexpr std::size_t kMaxChallenge = 12288;  // base64 (RFC 4954 section 4)

  // Within AUTH no line is cut off: one of more than kMaxChallenge is kBad.
  void expect_challenges(bool expected) { challenges_ = expected; }

  // Consumes from `input` up to the end of one reply. After kReply, get it with take(). After kBad
  // the connection cannot be read any further; bad_reason() says why.
  Result parse(std::string_view& input);
  Reply take();
  // True when part of a reply has been consumed.
  bool amid() const { return seen_ > 0; }
  const std::string& bad_reason() const { return bad_reason_; }

 private:
  Result end_line();
  bool take_status(const EnhancedStatus& status);
  Result bad(std::string reason);

  Reply reply_;
  std::string line_;
  std::size_t seen_ = 0;
  std::size_t kept_ = 0;
  bool challenges_ = false;
  std::string bad_reason_;
};

}  // namespace lmtpq::mailer

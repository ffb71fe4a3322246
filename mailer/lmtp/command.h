// Command lines: those we read from an LMTP client and those we write to a store.
//
// What it is: verbs, the parsed arguments of MAIL and RCPT, and one writer per command we send.
// What it does not know: which command is allowed when; what a store offers (the caller says which
//   parameters to write).
// Called by: LmtpServer (parses), LmtpClient (writes).
// Threads and lifetimes: pure functions over values.
// Failure: a parse gives a Refusal, ready to be answered.
// Rules: RFC 5321 section 4.1.1, RFC 2033 section 4.1; RFC 1870 (SIZE), 6152 (BODY), 6531
//   (SMTPUTF8), draft-murchison-lmtp-ignorequota, RFC 3030 (BDAT), Cyrus's TRACE.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/tag/trace_id.h"
#include "mailer/lmtp/envelope.h"
#include "mailer/lmtp/reply.h"

namespace lmtpq::mailer {

enum class Verb { kLhlo, kHelo, kMail, kRcpt, kData, kRset, kNoop, kVrfy, kQuit, kTrace, kUnknown };

struct CommandLine {
  Verb verb = Verb::kUnknown;
  std::string_view argument;  // behind the verb, spaces at both ends removed
};
CommandLine parse_command(std::string_view line);  // without its line end

struct Refusal {
  int code;
  EnhancedStatus status;
  std::string_view text;  // static
};

struct MailArguments {
  Mailbox sender;
  BodyType body = BodyType::kUnstated;
  AddressCharset charset = AddressCharset::kAscii;
  std::optional<std::uint64_t> size;
};
// `FROM:<...> [parameters]`, `TO:<...>`, any case, spaces around the colon tolerated.
std::variant<MailArguments, Refusal> parse_mail(std::string_view argument);
// IGNOREQUOTA is read here; whether this client may say it is the caller's question.
std::variant<Recipient, Refusal> parse_rcpt(std::string_view argument);
inline constexpr Refusal kBadParameter{555, {5, 5, 4}, "Parameter not recognized or not offered"};

// Cyrus splits a line over 4,095 bytes and reads its tail as a new command; no line we write comes
// near it, since Mailbox and TraceId bound what varies.
inline constexpr std::size_t kMaxCommandLine = 2048;

std::string lhlo_line(std::string_view name);
// A parameter that is unstated is not written.
std::string mail_line(const Mailbox& sender, BodyType body, AddressCharset charset,
                      std::optional<std::uint64_t> size);
// IGNOREQUOTA must be the last bytes of the line: Cyrus compares up to the line's end.
std::string rcpt_line(const Mailbox& recipient, bool ignore_quota);
std::string trace_line(const TraceId& id);
enum class Chunk { kMore, kLast };
// So many bytes follow it (RFC 3030 section 2).
std::string bdat_line(std::uint64_t size, Chunk chunk);

}  // namespace lmtpq::mailer

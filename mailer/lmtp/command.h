// Command lines: those that we read from an LMTP client, and those that we write to a store.
//
// Pure functions over values. They do not know in which order commands may come, nor what a store
// offers: the caller says which parameters to write. A line that cannot be parsed gives a Refusal,
// which is ready to be sent.
//
// RFC 5321 section 4.1.1, RFC 2033 section 4.1; RFC 1870 (SIZE), 6152 (BODY), 6531 (SMTPUTF8),
// draft-murchison-lmtp-ignorequota, Cyrus's TRACE; our XLMTPQ (hops.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/tag/trace_id.h"
#include "mailer/lmtp/envelope.h"
#include "mailer/lmtp/hops.h"
#include "mailer/lmtp/reply.h"

namespace lmtpq::mailer {

enum class Verb {
  kLhlo,
  kHelo,
  kMail,
  kRcpt,
  kData,
  kRset,
  kNoop,
  kVrfy,
  kQuit,
  kTrace,
  kHttp,
  kUnknown
};

struct CommandLine {
  Verb verb = Verb::kUnknown;
  std::string_view argument;  // after the verb, without spaces at both ends
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
  Hops hops;
};
// `FROM:<...> [parameters]`, `TO:<...>`; in any case, with or without spaces around the colon.
// XLMTPQ and IGNOREQUOTA are accepted; the caller checks whether this client may use them.
std::variant<MailArguments, Refusal> parse_mail(std::string_view argument);
std::variant<Recipient, Refusal> parse_rcpt(std::string_view argument);
inline constexpr Refusal kBadParameter{555, {5, 5, 4}, "Parameter not recognized or not offered"};

// Cyrus splits a line over 4,095 bytes and reads its tail as a new command. Mailbox and TraceId are
// bounded, so no line that we write comes near that.
inline constexpr std::size_t kMaxCommandLine = 2048;

std::string lhlo_line(std::string_view name);
std::string ehlo_line(std::string_view name);
// Parameters that are unstated or empty are not written.
std::string mail_line(const Mailbox& sender, BodyType body, AddressCharset charset,
                      std::optional<std::uint64_t> size, const Hops& hops = {});
// IGNOREQUOTA must be the last bytes of the line: Cyrus compares up to the line's end.
std::string rcpt_line(const Mailbox& recipient, bool ignore_quota);
std::string trace_line(const TraceId& id);

}  // namespace lmtpq::mailer

#include "mailer/lmtp/command.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "common/ascii.h"

namespace lmtpq::mailer {
namespace {

constexpr std::array<std::pair<std::string_view, Verb>, 16> kVerbs{{
    {"LHLO", Verb::kLhlo},
    {"EHLO", Verb::kHelo},
    {"HELO", Verb::kHelo},
    {"MAIL", Verb::kMail},
    {"RCPT", Verb::kRcpt},
    {"DATA", Verb::kData},
    {"RSET", Verb::kRset},
    {"NOOP", Verb::kNoop},
    {"VRFY", Verb::kVrfy},
    {"QUIT", Verb::kQuit},
    {"TRACE", Verb::kTrace},
    // RFC 9110 section 9, without those that are words of LMTP, too.
    {"GET", Verb::kHttp},
    {"HEAD", Verb::kHttp},
    {"POST", Verb::kHttp},
    {"PUT", Verb::kHttp},
    {"CONNECT", Verb::kHttp},
}};

constexpr Refusal kBadSender{553, {5, 1, 7}, "Not a sender address; expected MAIL FROM:<address>"};
constexpr Refusal kBadRecipient{553, {5, 1, 3}, "Not an address; expected RCPT TO:<address>"};

std::string_view trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

// Takes `keyword` and ":" from the front. Some clients write white space around the colon.
bool take_keyword(std::string_view& text, std::string_view keyword) {
  if (!same_word(text.substr(0, keyword.size()), keyword)) {
    return false;
  }
  std::string_view rest = trim(text.substr(keyword.size()));
  if (rest.empty() || rest.front() != ':') {
    return false;
  }
  text = trim(rest.substr(1));
  return true;
}

std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text = trim(text.substr(word.size()));
  return word;
}

// esmtp-param = esmtp-keyword ["=" esmtp-value] (RFC 5321 section 4.1.2)
bool read_mail_parameter(std::string_view parameter, MailArguments& mail) {
  const std::size_t equals = std::min(parameter.find('='), parameter.size());
  const std::string_view keyword = parameter.substr(0, equals);
  const std::string_view value = parameter.substr(std::min(equals + 1, parameter.size()));
  if (same_word(keyword, "SIZE")) {
    std::uint64_t size = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), size);
    // RFC 1870 allows 20 digits; some of these numbers do not fit 64 bits.
    const bool huge = parsed.ec == std::errc::result_out_of_range && value.size() <= 20;
    mail.size = huge ? std::numeric_limits<std::uint64_t>::max() : size;
    return (huge || parsed.ec == std::errc()) && parsed.ptr == value.data() + value.size();
  }
  if (same_word(keyword, "BODY")) {
    mail.body = same_word(value, "8BITMIME") ? BodyType::k8BitMime : BodyType::k7Bit;
    return mail.body == BodyType::k8BitMime || same_word(value, "7BIT");
  }
  if (same_word(keyword, "XLMTPQ")) {
    const auto hops = Hops::parse(value);
    const bool first = mail.hops.empty();
    mail.hops = hops.value_or(Hops());
    return hops && first;
  }
  mail.charset = AddressCharset::kUtf8;
  return same_word(parameter, "SMTPUTF8");
}

}  // namespace

CommandLine parse_command(std::string_view line) {
  const std::string_view word = line.substr(0, line.find(' '));
  const auto* const found = std::find_if(kVerbs.begin(), kVerbs.end(), [&](const auto& entry) {
    return same_word(entry.first, word);
  });
  return {found == kVerbs.end() ? Verb::kUnknown : found->second, trim(line.substr(word.size()))};
}

// "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
std::variant<MailArguments, Refusal> parse_mail(std::string_view argument) {
  if (!take_keyword(argument, "FROM")) {
    return kBadSender;
  }
  const auto sender = take_path(argument);
  if (!sender || (!argument.empty() && argument.front() != ' ')) {
    return kBadSender;
  }
  MailArguments mail;
  mail.sender = *sender;
  argument = trim(argument);
  while (!argument.empty()) {
    if (!read_mail_parameter(take_word(argument), mail)) {
      return kBadParameter;
    }
  }
  return mail;
}

// "RCPT TO:" Forward-path [SP "IGNOREQUOTA"] CRLF. Cyrus requires it at the end of the line; here
// spaces may follow, and it may appear twice.
std::variant<Recipient, Refusal> parse_rcpt(std::string_view argument) {
  if (!take_keyword(argument, "TO")) {
    return kBadRecipient;
  }
  const auto mailbox = take_path(argument);
  if (!mailbox || mailbox->null() || (!argument.empty() && argument.front() != ' ')) {
    return kBadRecipient;
  }
  Recipient recipient{*mailbox};
  argument = trim(argument);
  while (!argument.empty()) {
    if (!same_word(take_word(argument), "IGNOREQUOTA")) {
      return kBadParameter;
    }
    recipient.ignore_quota = true;
  }
  return recipient;
}

std::string lhlo_line(std::string_view name) { return "LHLO " + std::string(name) + "\r\n"; }

std::string ehlo_line(std::string_view name) { return "EHLO " + std::string(name) + "\r\n"; }

std::string mail_line(const Mailbox& sender, BodyType body, AddressCharset charset,
                      std::optional<std::uint64_t> size, const Hops& hops) {
  std::string line = "MAIL FROM:" + sender.path();
  if (size) {
    line += " SIZE=" + std::to_string(*size);
  }
  if (body != BodyType::kUnstated) {
    line += body == BodyType::k8BitMime ? " BODY=8BITMIME" : " BODY=7BIT";
  }
  if (charset == AddressCharset::kUtf8) {
    line += " SMTPUTF8";
  }
  if (!hops.empty()) {
    line += " XLMTPQ=" + hops.text();
  }
  return line + "\r\n";
}

std::string rcpt_line(const Mailbox& recipient, bool ignore_quota) {
  return "RCPT TO:" + recipient.path() + (ignore_quota ? " IGNOREQUOTA\r\n" : "\r\n");
}

std::string trace_line(const TraceId& id) { return "TRACE " + id.text() + "\r\n"; }

}  // namespace lmtpq::mailer

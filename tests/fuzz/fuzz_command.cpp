// Any bytes as a command line: a line that parses is written as one line that parses to the same.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "mailer/lmtp/command.h"

namespace {

using namespace lmtpq;
using namespace lmtpq::mailer;

void check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

// The argument of a line that we have written.
std::string_view argument_of(std::string_view line, Verb verb) {
  check(line.size() < kMaxCommandLine && line.ends_with("\r\n"));
  line.remove_suffix(2);
  check(line.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
  const CommandLine command = parse_command(line);
  check(command.verb == verb);
  return command.argument;
}

void check_refusal(const Refusal& refusal) {
  check(refusal.code != 421 && refusal.code / 100 == refusal.status.klass && !refusal.text.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const std::string_view argument = parse_command(line).argument;
  const auto mail = parse_mail(argument);
  if (const auto* const taken = std::get_if<MailArguments>(&mail)) {
    const Hops hops = taken->hops.count() <= Hops::kMaxHops ? taken->hops : Hops();
    const auto written = mail_line(taken->sender, taken->body, taken->charset, taken->size, hops);
    const auto again = std::get<MailArguments>(parse_mail(argument_of(written, Verb::kMail)));
    check(again.sender.text() == taken->sender.text() && again.body == taken->body);
    check(again.charset == taken->charset && again.size == taken->size);
    check(again.hops.text() == hops.text() && again.hops.count() == hops.count());
  } else {
    check_refusal(std::get<Refusal>(mail));
  }
  const auto rcpt = parse_rcpt(argument);
  if (const auto* const taken = std::get_if<Recipient>(&rcpt)) {
    const auto written = rcpt_line(taken->mailbox, taken->ignore_quota);
    const auto again = std::get<Recipient>(parse_rcpt(argument_of(written, Verb::kRcpt)));
    check(!taken->mailbox.null() && again.mailbox.text() == taken->mailbox.text());
    check(again.ignore_quota == taken->ignore_quota);
    check(rcpt_line(taken->mailbox, true).ends_with("> IGNOREQUOTA\r\n"));
  } else {
    check_refusal(std::get<Refusal>(rcpt));
  }
  return 0;
}

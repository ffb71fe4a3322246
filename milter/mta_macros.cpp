#include "milter/mta_macros.h"

#include <libmilter/mfapi.h>

#include <charconv>
#include <utility>

#include "milter/xtext.h"

namespace lmtpq::milter {
namespace {

std::string take(SMFICTX* context, const char* name) {
  char* const text = smfi_getsymval(context, const_cast<char*>(name));
  std::string taken(text_of(text));
  if (text != nullptr) {
    *text = '\0';
  }
  return taken;
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

// A slash in an attribute is sent as `\/` and must not look like the start of another attribute. A
// subject that fills Sendmail's buffer (MAXNAME) was cut off, possibly within its CN: unknown.
std::string whole_subject(std::string_view subject) {
  constexpr std::size_t kCutOff = 250;
  std::string whole;
  while (!subject.empty()) {
    const bool slash = subject.starts_with("\\/");
    whole += slash ? '_' : subject[0];
    subject.remove_prefix(slash ? 2 : 1);
  }
  return whole.size() < kCutOff ? whole : "";
}

}  // namespace

void request_macros(SMFICTX* context) {
  const std::pair<int, const char*> lists[] = {
      {SMFIM_CONNECT, "{client_addr}"},
      {SMFIM_ENVFROM, "i {auth_authen} {verify} {cert_subject} {client_addr}"},
      {SMFIM_ENVRCPT, "{rcpt_mailer} {rcpt_addr}"},
      // Otherwise unused: Sendmail looks for a list of EOH to know whether there is one of EOM
      // (milter_data() in milter.c).
      {SMFIM_EOH, "i"},
      {SMFIM_EOM, "i {msg_size}"}};
  for (const auto& [stage, names] : lists) {
    smfi_setsymlist(context, stage, const_cast<char*>(names));
  }
}

std::string_view text_of(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

// A client without an address here is unknown, and not `local`, which rules may trust: it is [::].
ClientFacts client_from_macros(SMFICTX* context) {
  char name[] = "{client_addr}";
  const auto address = Address::parse(text_of(smfi_getsymval(context, name)));
  return {address ? *address : Address()};
}

MessageFacts mail_facts(SMFICTX* context) {
  MessageFacts facts;
  facts.queue_id = take_queue_id(context);
  facts.auth = from_xtext(take(context, "{auth_authen}"));
  if (take(context, "{verify}") == "OK") {
    facts.tls_subject = whole_subject(from_xtext(take(context, "{cert_subject}")));
  }
  return facts;
}

RecipientFacts recipient_facts(SMFICTX* context) {
  RecipientFacts recipient;
  recipient.resolved = take(context, "{rcpt_addr}");
  recipient.mailer = take(context, "{rcpt_mailer}");
  return recipient;
}

std::string take_queue_id(SMFICTX* context) { return take(context, "i"); }

std::optional<std::uint64_t> take_size(SMFICTX* context) {
  return parse_count(take(context, "{msg_size}"));
}

}  // namespace lmtpq::milter

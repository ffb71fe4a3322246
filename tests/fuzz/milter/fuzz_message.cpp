// Any bytes as the parts of a message: the facts stay within their limits, an ambiguous address
// opens no quota, and the tag is valid for the mailer.
//
// The input is split at line feeds: the sender, then `R path`, `H name:value` or `S size`.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/mailbox.h"
#include "common/tag/key_file.h"
#include "milter/message.h"
#include "milter/policy/rule_parser.h"
#include "milter/xtext.h"

namespace {

using namespace lmtpq;
using namespace lmtpq::milter;

ConfigurationPtr configuration() {
  OptionReader options({}, {{"rule.", rule_keys()}});
  options.take_text(
      "[rule.a]\nheader X-A = *a*b*\nquota = honour\n[rule.b]\nfrom = *@a.example <>\n"
      "rcpt = *@b.example ops*\nmax-size = 10k\nlimit = 5/second\nquota = ignore\n"
      "[rule.c]\nclient = 192.0.2.0/24\nfrom = *\nquota = ignore\n",
      "fuzz");
  Configuration made;
  made.policy = Policy(parse_rules(options.free_sections()), {"cyrusv2"});
  made.trace = TraceOrigin({"X-Trace", "traceparent"}, {{*Network::parse("192.0.2.1")}, true});
  made.keys = parse_keys("k AAAAAAAAAAAAAAAAAAAAAA==\n", "fuzz");
  made.tag_lifetime = std::chrono::seconds(60);
  return std::make_shared<const Configuration>(std::move(made));
}

void check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

Message gather(std::string_view text) {
  static const ConfigurationPtr shared = configuration();
  MessageFacts facts;
  facts.client.address = Address::parse("192.0.2.1");
  facts.queue_id = "Q1";
  facts.sender = text.substr(0, text.find('\n'));
  facts.auth = from_xtext(facts.sender);
  text.remove_prefix(std::min(facts.sender.size() + 1, text.size()));
  Message message(shared, std::move(facts));
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::string_view rest = line.substr(std::min<std::size_t>(2, line.size()));
    if (line.starts_with("R ")) {
      message.take_recipient({std::string(rest), std::string(without_brackets(rest)), "cyrusv2"});
    } else if (line.starts_with("S ")) {
      message.take_size(rest.size() * 1000);
    } else if (line.starts_with("H ")) {
      const std::size_t colon = std::min(rest.find(':'), rest.size());
      message.take_field(rest.substr(0, colon), rest.substr(std::min(colon + 1, rest.size())));
    }
  }
  return message;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Message message = gather({reinterpret_cast<const char*>(data), size});
  const Verdict verdict = message.judge(nullptr, {});
  const auto& recipients = message.facts().recipients;
  check(verdict.recipients.size() == recipients.size());
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const bool odd = message.facts().sender_form == AddressForm::kAmbiguous ||
                     recipients[i].form == AddressForm::kAmbiguous;
    check(!odd || verdict.recipients[i].quota == Quota::kHonour);
  }
  const Configuration& shared = message.configuration();
  const TraceId trace = shared.trace.choose(message.facts());
  const std::string value =
      sign_tag(claims_for(shared, message.facts(), verdict, trace, 100), shared.keys.signer());
  const auto judged = Tag::verify(value, shared.keys, {message.facts().message_id, "Q1"}, 160);
  check(std::holds_alternative<Tag>(judged));
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const bool ignores = std::get<Tag>(judged).ignores_quota(recipients[i].given);
    // Two spellings of a mailbox share a digest, so only this direction holds for each of them.
    check(ignores || message.incomplete() || verdict.recipients[i].quota == Quota::kHonour ||
          i >= kMaxListed);
  }
  return 0;
}

#include "milter/explain.h"

#include <algorithm>
#include <istream>
#include <ostream>

#include "common/escape.h"
#include "common/header.h"
#include "common/options/option_table.h"
#include "common/tag/key_file.h"
#include "milter/message.h"

namespace lmtpq::milter {
namespace {

constexpr std::size_t kMaxHeader = 1 << 20;
// Not a real queue id: a tag that is bound to it is valid for no message.
constexpr const char* kAssumedQueueId = "QUEUE-ID";

// The header of a message in a file, with CRLF, and the size of the message.
struct Text {
  std::string header;
  std::uint64_t size = 0;
};

Text read_text(std::istream& in) {
  Text text;
  bool in_header = true;
  bool first = true;
  for (std::string line; std::getline(in, line); first = false) {
    if (line.ends_with('\r')) {
      line.pop_back();
    }
    // The first line of a message in a mailbox file is not part of the message.
    if (first && line.starts_with("From ")) {
      continue;
    }
    text.size += line.size() + 1;  // Sendmail counts a line end as one byte
    in_header = in_header && !line.empty() && text.header.size() + line.size() < kMaxHeader;
    if (in_header) {
      text.header += line + "\r\n";
    }
  }
  return text;
}

MessageFacts facts_of(const Settings& settings) {
  MessageFacts facts;
  if (!settings.client.empty()) {
    facts.client.address = Address::parse(settings.client);
    if (!facts.client.address) {
      throw ConfigError("--client: \"" + escaped(settings.client) + "\": expected an address");
    }
  }
  facts.sender = settings.sender;
  facts.auth = settings.auth;
  facts.tls_subject = settings.tls_subject;
  facts.queue_id = settings.queue_id.empty() ? kAssumedQueueId : settings.queue_id;
  return facts;
}

Message gather(const LoadedConfiguration& loaded, std::istream& in) {
  const std::vector<std::string> recipients = list_of(loaded.settings.recipients);
  if (recipients.empty()) {
    throw ConfigError("--explain: no recipient; add --rcpt ADDRESS");
  }
  Message message(loaded.configuration, facts_of(loaded.settings));
  for (const std::string& recipient : recipients) {
    message.take_recipient({recipient, "", loaded.settings.tag_mailers.front()});
  }
  const Text text = read_text(in);
  message.take_size(text.size);
  HeaderReader reader(text.header);
  while (const auto field = reader.next()) {
    if (field->name.empty()) {
      break;  // a line that is no field: Sendmail ends the header there
    }
    message.take_field(field->name, field->value);
  }
  return message;
}

std::string shown(const std::string& fact) { return fact.empty() ? "-" : escaped(fact); }

void print_message(const Message& message, std::ostream& out) {
  const MessageFacts& facts = message.facts();
  out << "message   from <" << escaped(facts.sender) << ">, client "
      << (facts.client.address ? facts.client.address->shown() : "local") << ", auth "
      << shown(facts.auth) << ", tls-subject " << shown(facts.tls_subject) << ",\n          "
      << facts.size.value_or(0) << " bytes, Message-ID " << shown(facts.message_id) << '\n';
  if (message.old_tags() > 0) {
    out << "          its tags (" << message.old_tags()
        << ") are from outside and will be removed\n";
  }
  if (message.incomplete()) {
    out << "          its header is over the limit for headers: no quota is ignored\n";
  }
}

// Every rule up to the one that decides.
void print_rules(const Policy& policy, const MessageFacts& facts, const RecipientFacts& recipient,
                 std::ostream& out) {
  std::size_t width = 0;
  for (const Rule& rule : policy.rules()) {
    width = std::max(width, rule.name.size());
  }
  for (const Rule& rule : policy.rules()) {
    out << "  rule " << rule.name << ": " << std::string(width - rule.name.size(), ' ');
    const RuleCondition* const failed = rule.mismatch(facts, recipient);
    if (failed == nullptr) {
      out << "yes\n";
      return;
    }
    out << "no: " << failed->text() << ", but " << failed->fact(facts, recipient) << '\n';
  }
}

void print_decision(const Decision& decision, bool incomplete, std::ostream& out) {
  const bool ignored = decision.quota == Quota::kIgnore && !incomplete;
  out << "  => quota " << (ignored ? "IGNORED" : "honoured");
  if (decision.why == Why::kAmbiguousAddress) {
    out << ", because Sendmail may read the sender's or recipient's address differently\n";
    return;
  }
  if (decision.rule == nullptr) {
    out << ", because no rule matches\n";
    return;
  }
  out << ", by rule " << decision.rule->name;
  if (ignored && decision.rule->limit) {
    out << ", up to its limit of " << decision.rule->limit->text() << " (not counted here)";
  }
  out << '\n';
}

// Nothing where the rules say nothing.
void print_over_quota(const Decision& decision, bool incomplete, std::ostream& out) {
  if (decision.over_quota() && !incomplete) {
    out << "  => where it is over quota: " << decision.over_quota()->text() << ", by rule "
        << decision.rule->name << '\n';
  }
}

void print_recipients(const Message& message, const Verdict& verdict, std::ostream& out) {
  const auto& recipients = message.facts().recipients;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    out << '\n' << escaped(recipients[i].given) << '\n';
    if (verdict.recipients[i].why != Why::kAmbiguousAddress) {
      print_rules(message.configuration().policy, message.facts(), recipients[i], out);
    }
    print_decision(verdict.recipients[i], message.incomplete(), out);
    print_over_quota(verdict.recipients[i], message.incomplete(), out);
  }
}

const char* scope_words(QuotaScope scope) {
  switch (scope) {
    case QuotaScope::kEverybody:
      return "the quota is ignored for all recipients, members of aliases included";
    case QuotaScope::kListed:
      return "the quota is ignored for these recipients only, not for members of aliases";
    case QuotaScope::kNobody:
      break;
  }
  return "the quota is ignored for no recipient";
}

const char* over_quota_words(QuotaScope scope) {
  switch (scope) {
    case QuotaScope::kEverybody:
      return "the rules decide for all recipients, members of aliases included";
    case QuotaScope::kListed:
      return "the rules decide for some recipients, the mailer's --over-quota for the others";
    case QuotaScope::kNobody:
      break;
  }
  return "the mailer's --over-quota decides";
}

TraceId print_trace(const Message& message, std::ostream& out) {
  const TraceOrigin& origin = message.configuration().trace;
  TraceId trace = origin.choose(message.facts());
  // A generated id is different each time.
  const bool from_message = origin.choose(message.facts()) == trace;
  out << "trace id  " << trace.text();
  if (from_message) {
    out << ", from the message\n";
  } else {
    out << ", for example; the end is random\n";
  }
  return trace;
}

// Instead of a tag; empty: there is one.
std::string missing_tag(const LoadedConfiguration& loaded, const Message& message,
                        const Verdict& verdict) {
  const Configuration& configuration = message.configuration();
  const std::string none = "none, every quota is honoured: ";
  if (!loaded.keys_error.empty()) {
    return "cannot be signed: " + loaded.keys_error;
  }
  if (configuration.keys.empty()) {
    return none + "no keys; " + kMakeKeyFile;
  }
  const char* why = no_tag(configuration, message.facts(), verdict);
  return why == nullptr ? "" : none + why;
}

void print_tag(const LoadedConfiguration& loaded, const Message& message, const Verdict& verdict,
               std::int64_t now, std::ostream& out) {
  const Configuration& configuration = message.configuration();
  out << "\nverdict   " << scope_words(verdict.scope) << '\n';
  if (verdict.over_quota != QuotaScope::kNobody) {
    out << "over quota " << over_quota_words(verdict.over_quota) << '\n';
  }
  const TraceId trace = print_trace(message, out);
  const std::string missing = missing_tag(loaded, message, verdict);
  if (!missing.empty()) {
    out << "tag       " << missing << '\n';
    return;
  }
  const Key& key = configuration.keys.signer();
  out << "tag       signed with key " << key.id();
  if (configuration.bind_queue_id) {
    out << ", for queue id " << message.facts().queue_id << " only";
  }
  const TagClaims claims = claims_for(configuration, message.facts(), verdict, trace, now);
  out << "\n\n" << kTagName << ": " << sign_tag(claims, key) << '\n';
}

}  // namespace

void explain(const LoadedConfiguration& loaded, std::istream& in, std::ostream& out,
             std::int64_t now) {
  const Message message = gather(loaded, in);
  const Verdict verdict = message.judge(nullptr, {});
  print_message(message, out);
  print_recipients(message, verdict, out);
  print_tag(loaded, message, verdict, now, out);
  out << "\nAssumed: Sendmail resolves each recipient to the address as given, and to mailer "
      << loaded.settings.tag_mailers.front() << ".\n";
  if (loaded.settings.queue_id.empty()) {
    out << "         Its queue id is " << kAssumedQueueId << " (--queue-id).\n";
  }
}

}  // namespace lmtpq::milter

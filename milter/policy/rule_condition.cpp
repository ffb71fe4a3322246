#include "milter/policy/rule_condition.h"

#include <algorithm>
#include <iterator>

#include "common/ascii.h"
#include "common/escape.h"
#include "common/glob.h"
#include "common/header.h"
#include "common/mailbox.h"
#include "common/options/option_reader.h"
#include "common/options/option_table.h"
#include "common/tag/tag_format.h"

namespace lmtpq::milter {
namespace {

constexpr const char* kBlank = " \t";

std::string field_name(std::string_view text) {
  if (!is_field_name(text)) {
    throw ConfigError("expected header NAME, one field's name without a colon");
  }
  return std::string(text);
}

std::vector<std::string> words(std::string_view value, const char* expected) {
  std::vector<std::string> made = list_of(value);
  // `# words` would be patterns, not a comment. qmail's double bounces come from #@[].
  const bool comment = std::any_of(made.begin(), made.end(), [](const std::string& word) {
    return (word.starts_with('#') && word != "#@[]") || word.starts_with(';');
  });
  if (made.empty() || comment) {
    throw ConfigError(expected);
  }
  return made;
}

std::string pattern(std::string_view value, const char* expected) {
  const std::string_view made = trimmed(value);
  if (made.empty()) {
    throw ConfigError(expected);
  }
  if (made.size() > 1 && made.front() == '"' && made.back() == '"') {
    throw ConfigError("expected a pattern without quotes around it");
  }
  return std::string(made);
}

bool any_matches(const std::vector<std::string>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return glob_matches(pattern, text); });
}

bool known_and_matches(const std::vector<std::string>& patterns, std::string_view text) {
  return !text.empty() && any_matches(patterns, text);
}

std::string is(const std::string& subject, const std::string& value) {
  return subject + (value.empty() ? " is not known" : " is " + escaped(value));
}

std::string recipient_fact(const RecipientFacts& recipient) {
  std::string text = is("rcpt", recipient.given);
  if (!recipient.resolved.empty() && recipient.resolved != recipient.given) {
    text += ", resolved to " + escaped(recipient.resolved);
  }
  return text;
}

std::string header_fact(const std::vector<HeaderFact>& headers, const std::string& name) {
  std::string values;
  std::string separator;
  for (const HeaderFact& header : headers) {
    if (same_word(header.name, name)) {
      values += separator + (header.value.empty() ? "empty" : escaped(header.value));
      separator = " and ";
    }
  }
  return values.empty() ? "there is no " + name : name + " is " + values;
}

}  // namespace

std::optional<RuleCondition> RuleCondition::parse(std::string_view name, std::string_view value) {
  const std::string_view word = name.substr(0, name.find_first_of(kBlank));
  const auto known =
      std::find(std::begin(kConditionNames), std::end(kConditionNames), std::string(word));
  const std::string_view field = trimmed(name.substr(word.size()));
  if (known == std::end(kConditionNames)) {
    return std::nullopt;
  }
  RuleCondition made;
  made.kind_ = static_cast<ConditionKind>(known - std::begin(kConditionNames));
  if (made.kind_ == ConditionKind::kHeader) {
    made.header_name_ = field_name(field);
  } else if (!field.empty()) {
    return std::nullopt;
  }
  made.value_ = trimmed(value);
  made.take_value();
  return made;
}

void RuleCondition::take_value() {
  switch (kind_) {
    case ConditionKind::kClient:
      take_networks();
      break;
    case ConditionKind::kAuth:
      patterns_ = words(value_, "expected names or patterns such as backup-*");
      break;
    case ConditionKind::kTlsSubject:
      patterns_ = {pattern(value_, "expected one pattern such as */CN=notice.example.org")};
      break;
    case ConditionKind::kFrom:
    case ConditionKind::kRcpt:
      take_addresses();
      break;
    case ConditionKind::kHeader:
      patterns_ = {pattern(value_, "expected one pattern such as yes*")};
      break;
    case ConditionKind::kMaxSize:
      max_size_ = parse_size(value_);
      break;
  }
}

void RuleCondition::take_networks() {
  words(value_, kClientsExpected);
  clients_ = ClientSet::parse(value_);
}

void RuleCondition::take_addresses() {
  const bool sender = kind_ == ConditionKind::kFrom;
  const char* expected = sender ? "expected addresses, patterns such as *@example.org, or <>"
                                : "expected addresses or patterns such as *@example.org";
  for (const std::string& word : words(value_, expected)) {
    patterns_.emplace_back(without_brackets(word));
    // Addresses are compared without these characters (comparable_address): such a pattern could
    // never match.
    if (patterns_.back().find_first_of("\"'\\;<>()") != std::string::npos ||
        patterns_.back().starts_with('@')) {
      throw ConfigError(expected);
    }
    // The sender may be null, a recipient cannot.
    if (patterns_.back().empty() && !sender) {
      throw ConfigError(expected);
    }
  }
}

std::string RuleCondition::text() const {
  std::string name = kConditionNames[static_cast<std::size_t>(kind_)];
  if (kind_ == ConditionKind::kHeader) {
    name += ' ' + header_name_;
  }
  return name + " = " + value_;
}

bool RuleCondition::holds(const MessageFacts& message, const RecipientFacts& recipient) const {
  switch (kind_) {
    case ConditionKind::kClient:
      return clients_.contains(message.client.address);
    case ConditionKind::kAuth:
      return known_and_matches(patterns_, message.auth);
    case ConditionKind::kTlsSubject:
      return known_and_matches(patterns_, message.tls_subject);
    case ConditionKind::kFrom:
      return any_matches(patterns_, comparable_address(message.sender));
    case ConditionKind::kRcpt:
      return known_and_matches(patterns_, recipient.given) ||
             known_and_matches(patterns_, recipient.resolved);
    case ConditionKind::kHeader:
      return std::any_of(message.headers.begin(), message.headers.end(), [&](const auto& header) {
        return same_word(header.name, header_name_) && any_matches(patterns_, header.value);
      });
    case ConditionKind::kMaxSize:
      return message.size && *message.size <= max_size_;
  }
  return false;
}

std::string RuleCondition::fact(const MessageFacts& message,
                                const RecipientFacts& recipient) const {
  switch (kind_) {
    case ConditionKind::kClient:
      return message.client.address ? "client is " + message.client.address->text()
                                    : "client has no address";
    case ConditionKind::kAuth:
      return is("auth", message.auth);
    case ConditionKind::kTlsSubject:
      return is("tls-subject", message.tls_subject);
    case ConditionKind::kFrom:
      return is("from", message.sender.empty() ? "<>" : message.sender);
    case ConditionKind::kRcpt:
      return recipient_fact(recipient);
    case ConditionKind::kHeader:
      return header_fact(message.headers, header_name_);
    case ConditionKind::kMaxSize:
      return is("size", message.size ? std::to_string(*message.size) : "");
  }
  return "";
}

bool RuleCondition::forgeable() const {
  switch (kind_) {
    case ConditionKind::kAuth:
    case ConditionKind::kTlsSubject:
      return false;
    case ConditionKind::kClient:
      return std::any_of(clients_.networks.begin(), clients_.networks.end(),
                         [](const Network& network) { return network.is_everything(); });
    default:
      return true;
  }
}

}  // namespace lmtpq::milter

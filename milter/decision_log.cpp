#include "milter/decision_log.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace lmtpq::milter {
namespace {

constexpr std::size_t kMaxShownRules = 8;

bool contains(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ",") + word;
  }
  return text.empty() ? "-" : text;
}

std::string rule_names(const Verdict& verdict) {
  std::vector<std::string> names;
  for (const Decision& decision : verdict.recipients) {
    if (decision.rule == nullptr || contains(names, decision.rule->name)) {
      continue;
    }
    if (names.size() == kMaxShownRules) {
      names.push_back("...");
      break;
    }
    names.push_back(decision.rule->name);
  }
  return joined(names);
}

bool has(const Verdict& verdict, Why why) {
  return std::any_of(verdict.recipients.begin(), verdict.recipients.end(),
                     [why](const Decision& decision) { return decision.why == why; });
}

std::string reasons(const Verdict& verdict) {
  std::vector<std::string> words;
  for (const Why why :
       {Why::kNoRule, Why::kRule, Why::kOverLimit, Why::kOtherMailer, Why::kAmbiguousAddress}) {
    if (has(verdict, why)) {
      words.emplace_back(kWhyNames[static_cast<std::size_t>(why)]);
    }
  }
  return joined(words);
}

const char* quota_word(const Verdict& verdict) {
  const long long count = ignoring(verdict);
  if (count == 0 || verdict.scope == QuotaScope::kNobody) {
    return "honour";
  }
  return std::cmp_equal(count, verdict.recipients.size()) ? "ignore" : "mixed";
}

// Empty: no rule says anything.
std::string over_quota_word(const Verdict& verdict) {
  switch (verdict.over_quota) {
    case QuotaScope::kEverybody:
      return verdict.recipients.front().over_quota()->text();
    case QuotaScope::kListed:
      return "mixed";
    case QuotaScope::kNobody:
      break;
  }
  return "";
}

std::string client_word(const ClientFacts& client) {
  return client.address ? client.address->shown() : "local";
}

void log_old_tags(const Log& log, const Message& message) {
  const MessageFacts& facts = message.facts();
  log.warning(Record("old-tags-removed")
                  .add("qid", facts.queue_id)
                  .add("client", client_word(facts.client))
                  .add("from", '<' + facts.sender + '>')
                  .add("old-tags", message.old_tags()));
}

}  // namespace

long long ignoring(const Verdict& verdict) {
  return std::count_if(verdict.recipients.begin(), verdict.recipients.end(),
                       [](const Decision& decision) { return decision.quota == Quota::kIgnore; });
}

long long with_policy(const Verdict& verdict) {
  return std::count_if(verdict.recipients.begin(), verdict.recipients.end(),
                       [](const Decision& decision) { return decision.over_quota().has_value(); });
}

void log_decision(const Log& log, const Message& message, const Verdict& verdict,
                  const TraceId& trace, const Tagging& tagging) {
  const MessageFacts& facts = message.facts();
  Record record("decision");
  record.add("trace", trace.text())
      .add("qid", facts.queue_id)
      .add("client", client_word(facts.client))
      .add("auth", facts.auth.empty() ? "-" : facts.auth)
      .add("from", '<' + facts.sender + '>')
      .add("rcpts", message.recipients())
      .add("rule", rule_names(verdict))
      .add("quota", quota_word(verdict));
  if (const std::string word = over_quota_word(verdict); !word.empty()) {
    record.add("over-quota", word);
  }
  record.add("reason", message.incomplete() ? "too much header" : reasons(verdict))
      .add("tagged", tagging.written ? "yes" : "no");
  if (!tagging.written) {
    record.add("no-tag", tagging.missing != nullptr ? tagging.missing : kNoEdits);
  }
  // Recipients whose quota is honoured only because of a limit on the message's size.
  const long long not_kept = message.recipients() - static_cast<long long>(facts.recipients.size());
  if (not_kept + tagging.unlisted > 0) {
    record.add("rcpts-beyond-limit", not_kept + tagging.unlisted);
  }
  if (tagging.without_policy > 0) {
    record.add("over-quota-beyond-limit", tagging.without_policy);
  }
  record.add("old-tags", message.old_tags())
      .add("size", facts.size ? std::to_string(*facts.size) : "-");
  log.write(has(verdict, Why::kOverLimit) ? LogLevel::kWarning : LogLevel::kInfo, record);
  if (message.old_tags() > 0 && tagging.cleaned) {
    log_old_tags(log, message);
  }
}

}  // namespace lmtpq::milter

#include "mailer/message/tag_validation.h"

#include <utility>

#include "common/ascii.h"
#include "common/header.h"

namespace lmtpq::mailer {
namespace {

std::string first_message_id(std::string_view head) {
  HeaderReader fields(head);
  while (const auto field = fields.next()) {
    if (same_word(field->name, "Message-ID")) {
      return unfold(field->value);
    }
  }
  return "";
}

}  // namespace

TagVerdict judge_tags(const MailData& data, const TraceId& queue_id, const Keyring& keys,
                      std::int64_t now) {
  TagVerdict verdict;
  const auto& tags = data.tags().tags();
  if (tags.empty()) {
    return verdict;
  }
  verdict.unread = data.tags().found() - tags.size();
  const std::string message_id = first_message_id(data.body().head());
  const TaggedMessage message{message_id, queue_id.text()};
  std::vector<std::pair<Tag, const std::string*>> valid;
  for (const std::string& value : tags) {
    auto judged = Tag::verify(value, keys, message, now);
    if (Tag* const tag = std::get_if<Tag>(&judged)) {
      valid.emplace_back(std::move(*tag), &value);
    } else {
      verdict.rejected.push_back({std::get<TagFault>(judged), claimed_key(value)});
    }
  }
  if (valid.size() == 1 && verdict.unread == 0) {
    verdict.valid = std::move(valid.front().first);
    return verdict;
  }
  // Two decisions, and nothing tells which of them is the policy's.
  for (const auto& [tag, value] : valid) {
    verdict.rejected.push_back({TagFault::kTwoTags, claimed_key(*value)});
  }
  return verdict;
}

}  // namespace lmtpq::mailer

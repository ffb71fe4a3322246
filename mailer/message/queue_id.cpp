#include "mailer/message/queue_id.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "common/ascii.h"
#include "mailer/message/received_field.h"

namespace lmtpq::mailer {
namespace {

// The index of the only word `name`; nothing: there is none, or more than one.
std::optional<std::size_t> only(const std::vector<std::string>& words, std::string_view name) {
  const auto is_name = [name](const std::string& word) { return same_word(word, name); };
  const auto found = std::find_if(words.begin(), words.end(), is_name);
  if (found == words.end() || std::any_of(found + 1, words.end(), is_name)) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(found - words.begin());
}

}  // namespace

TraceId queue_id(std::string_view message_head) {
  const auto words = received_words(message_head);
  if (!words) {
    return {};
  }
  const auto by = only(*words, "by");
  const auto id = only(*words, "id");
  if (!by || !id || *id < *by || *id + 1 == words->size()) {
    return {};
  }
  return TraceId::parse((*words)[*id + 1]).value_or(TraceId());
}

}  // namespace lmtpq::mailer

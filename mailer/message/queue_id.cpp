#include "mailer/message/queue_id.h"

#include <algorithm>
#include <string>

#include "common/ascii.h"
#include "common/header.h"

namespace lmtpq::mailer {
namespace {

std::string_view take_word(std::string_view& text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  const std::string_view word = text.substr(0, text.find_first_of(kSpace));
  text.remove_prefix(word.size());
  return word;
}

}  // namespace

TraceId queue_id(std::string_view message_head) {
  HeaderReader fields(message_head);
  std::optional<Field> field = fields.next();
  while (field && !same_word(field->name, "Received")) {
    field = fields.next();
  }
  if (!field) {
    return {};
  }
  const std::string value = without_comments(unfold(field->value));
  std::string_view rest = value;
  // The part after "from" is controlled by the client; our Sendmail writes the part after "by".
  bool ours = false;
  for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest)) {
    if (ours && same_word(word, "with")) {
      take_word(rest);  // the protocol, which a local user can set to "id" (sendmail -p)
    } else if (ours && same_word(word, "id")) {
      const std::string_view id = take_word(rest);
      return TraceId::parse(id.substr(0, id.find(';'))).value_or(TraceId());
    }
    ours = ours || same_word(word, "by");
  }
  return {};
}

}  // namespace lmtpq::mailer

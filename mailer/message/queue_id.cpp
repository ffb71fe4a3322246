#include "mailer/message/queue_id.h"

#include <string>

#include "common/ascii.h"
#include "mailer/message/received_field.h"

namespace lmtpq::mailer {
namespace {

// The `by` and `id` clauses of a Received field, from its words. Those in comments and quoted
// strings count: one of them may be Sendmail's, hidden by a client that wrote another.
struct Clauses {
  int by = 0;  // how often the word occurs
  int ids = 0;
  bool id_follows = false;
  std::string id;

  void take(std::string_view word, WordPlace place) {
    const bool plain = place == WordPlace::kPlain;
    if (plain && id_follows) {
      id = word;
    }
    by += same_word(word, "by") ? 1 : 0;
    ids += same_word(word, "id") ? 1 : 0;
    id_follows = plain ? same_word(word, "id") && by > 0 : id_follows;
  }
};

}  // namespace

TraceId queue_id(std::string_view message_head) {
  Clauses clauses;
  const bool whole = read_received(
      message_head,
      [&clauses](std::string_view word, WordPlace place) { clauses.take(word, place); });
  const bool sure = whole && clauses.by == 1 && clauses.ids == 1;
  return sure ? TraceId::parse(clauses.id).value_or(TraceId()) : TraceId();
}

}  // namespace lmtpq::mailer

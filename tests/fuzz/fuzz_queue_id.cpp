// The queue id of any message is empty or a word of the topmost Received field that TRACE accepts,
// and its age is by the date in that field, never negative and never from before 2000; the bytes
// after that field do not matter.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/ascii.h"
#include "common/header.h"
#include "mailer/message/message_age.h"
#include "mailer/message/queue_id.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const lmtpq::TraceId id = lmtpq::mailer::queue_id(text);
  lmtpq::HeaderReader fields(text);
  auto field = fields.next();
  while (field && !lmtpq::same_word(field->name, "Received")) {
    field = fields.next();
  }
  constexpr std::int64_t kNow = 1'795'262'400;
  constexpr std::int64_t kYear2000 = 946'684'800;
  const std::int64_t age = lmtpq::mailer::message_age(text, kNow).count();
  if (age < 0 || age > kNow - kYear2000 ||
      age != (field ? lmtpq::mailer::message_age(field->raw, kNow).count() : 0)) {
    std::abort();
  }
  if (id.empty()) {
    return 0;
  }
  const bool good = field && lmtpq::TraceId::parse(id.text()) == id &&
                    lmtpq::unfold(field->value).find(id.text()) != std::string::npos &&
                    lmtpq::mailer::queue_id(field->raw) == id;
  if (!good) {
    std::abort();
  }
  return 0;
}

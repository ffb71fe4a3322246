// The queue id of any message is empty or a word of the topmost Received field that TRACE accepts,
// and its age is by the date in that field, never negative and never from before 2000; the bytes
// after that field do not matter. A client's name, protocol or ident reply of any bytes puts no
// other id in the place of Sendmail's.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/ascii.h"
#include "common/header.h"
#include "mailer/message/message_age.h"
#include "mailer/message/queue_id.h"

namespace {

using lmtpq::mailer::queue_id;

void check(bool good) {
  if (!good) {
    std::abort();
  }
}

// Sendmail leaves no line end in a macro.
void check_client(std::string text) {
  std::replace(text.begin(), text.end(), '\r', ' ');
  std::replace(text.begin(), text.end(), '\n', ' ');
  const std::string middle = ")\r\n\tby b (8.17.1) with ";
  const std::string end =
      " id NEW\r\n\tfor <\"c) d\"@e>; Fri, 21 Nov 2025 09:03:26 +0100 (CET)\r\n";
  const std::size_t half = text.size() / 2;
  const std::string fields[] = {
      "Received: from " + text + " (u@h [192.0.2.1]" + middle + "SMTP" + end,
      "Received: from h (" + text + "@h [192.0.2.1]" + middle + "SMTP" + end,
      "Received: from h (u@h [192.0.2.1]" + middle + text + end,
      "Received: from " + text.substr(0, half) + " (u@h" + middle + text.substr(half) + end};
  for (const std::string& field : fields) {
    const std::string id = queue_id(field).text();
    check(id.empty() || id == "NEW");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_client(std::string(text));
  const lmtpq::TraceId id = queue_id(text);
  lmtpq::HeaderReader fields(text);
  auto field = fields.next();
  while (field && !lmtpq::same_word(field->name, "Received")) {
    field = fields.next();
  }
  constexpr std::int64_t kNow = 1'795'262'400;
  constexpr std::int64_t kYear2000 = 946'684'800;
  const std::int64_t age = lmtpq::mailer::message_age(text, kNow).count();
  check(age >= 0 && age <= kNow - kYear2000 &&
        age == (field ? lmtpq::mailer::message_age(field->raw, kNow).count() : 0));
  check(id.empty() || (field && lmtpq::TraceId::parse(id.text()) == id &&
                       lmtpq::unfold(field->value).find(id.text()) != std::string::npos &&
                       queue_id(field->raw) == id));
  return 0;
}

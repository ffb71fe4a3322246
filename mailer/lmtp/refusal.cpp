#include "mailer/lmtp/refusal.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "common/ascii.h"

namespace lmtpq::mailer {
namespace {

// RFC 3463 section 3.6: the protocol. 4.5.3 at MAIL is a limit of the session.
constexpr int kProtocol = 5;

// For 4xx without an enhanced status only the text tells a session's limit from a full disk.
bool names_session(std::string_view text) {
  constexpr std::array<std::string_view, 4> kPhrases{"session", "connection", "too many messages",
                                                     "too many mails"};
  return std::any_of(kPhrases.begin(), kPhrases.end(),
                     [&](std::string_view phrase) { return has_phrase(text, phrase); });
}

bool refuses_session_for_now(const Reply& reply) {
  if (!reply.status) {
    return names_session(reply.text());
  }
  const EnhancedStatus& status = *reply.status;
  return status.subject == kProtocol || status == EnhancedStatus{4, 3, 2} ||
         status == EnhancedStatus{4, 4, 2};
}

}  // namespace

bool asks_for_login(int code) {
  return code == 430 || code == 530 || code == 534 || code == 535 || code == 538;
}

bool refuses_session(const Reply& reply) {
  switch (reply.code) {
    case 421:
    case 500:
    case 502:
    case 503:
    case 504:
      return true;
    case 501:  // a parameter, or the sender's address (5.1.7)
      return !reply.status || reply.status->subject == kProtocol;
    default:
      return asks_for_login(reply.code) || (reply.klass() == 4 && refuses_session_for_now(reply));
  }
}

bool refuses_message(const Reply& reply) {
  return reply.code == 552 &&
         (reply.status == EnhancedStatus{5, 2, 3} || reply.status == EnhancedStatus{5, 3, 4});
}

}  // namespace lmtpq::mailer

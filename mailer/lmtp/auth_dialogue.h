// What LmtpClient keeps while AUTH is in progress (RFC 4954), and how it keeps our password
// private.
//
// Some servers repeat a command that they refuse, and their text goes into logs and bounces. So we
// remember what we sent, and withhold the text of a reply that repeats it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret.h"
#include "mailer/lmtp/reply.h"

namespace lmtpq::mailer {

class AuthDialogue {
 public:
  // An empty password: the mechanism has none.
  explicit AuthDialogue(std::string_view password);

  // Bytes that we send, before base64.
  void remember(const std::string& bytes);
  // The reply, without its text if that repeats what we sent. A challenge (334) stays as it is.
  Reply withhold(Reply reply) const;

  std::string challenge;                    // the last one, decoded
  std::optional<std::string> late_initial;  // an initial response that did not fit AUTH's line

 private:
  std::vector<Secret> sent_;  // in every form in which a server could repeat it
};

}  // namespace lmtpq::mailer

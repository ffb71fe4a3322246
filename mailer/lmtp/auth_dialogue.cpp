#include "mailer/lmtp/auth_dialogue.h"

#include <algorithm>

#include "common/tag/base64.h"

namespace lmtpq::mailer {
namespace {

// A server may repeat a part of what it got: this many bytes of it are enough.
constexpr std::size_t kRun = 12;

bool repeats(std::string_view text, std::string_view secret) {
  if (secret.size() <= kRun) {
    return text.find(secret) != std::string_view::npos;
  }
  for (std::size_t i = 0; i + kRun <= secret.size(); i += kRun) {
    if (text.find(secret.substr(i, kRun)) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

AuthDialogue::AuthDialogue(std::string_view password) {
  if (!password.empty()) {
    sent_.emplace_back(printable(password));  // replies are printable, too
  }
}

void AuthDialogue::remember(const std::string& bytes) {
  // Shorter ones are found in any text.
  if (bytes.size() >= kRun) {
    sent_.emplace_back(base64(bytes));
  }
}

Reply AuthDialogue::withhold(Reply reply) const {
  const auto repeats_us = [&](const std::string& line) {
    return std::any_of(sent_.begin(), sent_.end(),
                       [&](const Secret& secret) { return repeats(line, secret.text()); });
  };
  if (reply.code != 334 && std::any_of(reply.lines.begin(), reply.lines.end(), repeats_us)) {
    reply.lines = {"(text withheld: it repeats our login)"};
    reply.detailed.clear();
  }
  return reply;
}

}  // namespace lmtpq::mailer

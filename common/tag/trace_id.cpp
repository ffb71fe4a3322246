#include "common/tag/trace_id.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

namespace lmtpq {
namespace {

bool allowed_everywhere(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

bool allowed(char c) { return allowed_everywhere(c) || c == '.'; }

}  // namespace

std::optional<TraceId> TraceId::parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxLength || !std::all_of(text.begin(), text.end(), allowed)) {
    return std::nullopt;
  }
  TraceId id;
  id.text_ = text;
  return id;
}

TraceId TraceId::make(std::string_view queue_id) {
  constexpr std::string_view kLetters = "0123456789abcdefghijklmnopqrstuv";
  std::array<unsigned char, 8> random{};
  // Need not be secret, only different: bytes that getrandom(2) cannot fill yet stay zero.
  [[maybe_unused]] const ssize_t got = getrandom(random.data(), random.size(), GRND_NONBLOCK);
  std::string text;
  if (!queue_id.empty() && queue_id.size() < kMaxLength - random.size() &&
      std::all_of(queue_id.begin(), queue_id.end(), allowed_everywhere)) {
    text = std::string(queue_id) + '-';
  }
  for (const unsigned char byte : random) {
    text += kLetters[byte % kLetters.size()];
  }
  TraceId id;
  id.text_ = std::move(text);
  return id;
}

}  // namespace lmtpq

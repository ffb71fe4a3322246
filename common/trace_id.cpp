#include "trace_id.h"

#include <algorithm>

namespace lmtpq {
namespace {

bool allowed(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

}  // namespace

std::optional<TraceId> TraceId::parse(std::string_view text) {
  if (text.empty() || text.size() > kMaxLength || !std::all_of(text.begin(), text.end(), allowed)) {
    return std::nullopt;
  }
  TraceId id;
  id.text_ = text;
  return id;
}

}  // namespace lmtpq

#include "milter/policy/trace_origin.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "common/ascii.h"
#include "common/mailbox.h"

namespace lmtpq::milter {
namespace {

bool is_lower_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_zero(std::string_view hex) { return hex.find_first_not_of('0') == std::string_view::npos; }

// W3C Trace Context: version "-" trace-id "-" parent-id "-" trace-flags, of 2, 32, 16 and 2
// lower-case hexadecimal digits. Versions above 00 may have more fields after another "-".
std::optional<TraceId> from_traceparent(std::string_view value) {
  constexpr std::size_t kLength = 55;
  if (value.size() < kLength || value[2] != '-' || value[35] != '-' || value[52] != '-') {
    return std::nullopt;
  }
  const std::string_view version = value.substr(0, 2);
  const std::string_view trace = value.substr(3, 32);
  const std::string_view parent = value.substr(36, 16);
  const std::string_view flags = value.substr(53, 2);
  const std::string_view more = value.substr(kLength);
  const bool complete = more.empty() || (version != "00" && more[0] == '-');
  if (!complete || version == "ff" || !is_lower_hex(version) || !is_lower_hex(trace) ||
      !is_lower_hex(parent) || !is_lower_hex(flags) || is_zero(trace) || is_zero(parent)) {
    return std::nullopt;
  }
  return TraceId::parse(trace);
}

std::optional<TraceId> from_field(const HeaderFact& field) {
  const std::string_view value = trimmed(field.value);
  return same_word(field.name, "traceparent") ? from_traceparent(value)
                                              : TraceId::parse(without_brackets(value));
}

}  // namespace

TraceOrigin::TraceOrigin(std::vector<std::string> field_names, ClientSet trusted)
    : field_names_(std::move(field_names)), trusted_(std::move(trusted)) {}

TraceId TraceOrigin::choose(const MessageFacts& message) const {
  if (trusted_.contains(message.client.address)) {
    for (const std::string& name : field_names_) {
      for (const HeaderFact& field : message.headers) {
        std::optional<TraceId> id = same_word(field.name, name) ? from_field(field) : std::nullopt;
        if (id) {
          return std::move(*id);
        }
      }
    }
  }
  return TraceId::make(message.queue_id);
}

}  // namespace lmtpq::milter

#include "common/tag/over_quota_policy.h"

#include <charconv>
#include <cstdint>
#include <utility>

#include "common/config_error.h"
#include "common/options/option_reader.h"

namespace lmtpq {
namespace {

constexpr const char* kExpected = "expected store, defer, defer:AGE (such as defer:3d) or refuse";
constexpr std::string_view kAged = "defer:";
constexpr std::uint64_t kLongest = 5200ULL * 604'800;  // as of all times: 5200w

OverQuotaPolicy deferring(std::chrono::seconds age) { return {OverQuotaAction::kDefer, age}; }

}  // namespace

OverQuotaPolicy OverQuotaPolicy::parse(std::string_view text) {
  if (text == "store") {
    return {};
  }
  if (text == "refuse") {
    return {OverQuotaAction::kRefuse};
  }
  if (text == "defer") {
    return deferring({});
  }
  if (!text.starts_with(kAged)) {
    throw ConfigError(kExpected);
  }
  const auto age =
      std::chrono::floor<std::chrono::seconds>(parse_duration(text.substr(kAged.size())));
  if (age.count() == 0) {
    throw ConfigError("expected an age of at least 1s; refuse does not wait at all");
  }
  return deferring(age);
}

std::string OverQuotaPolicy::text() const {
  if (action != OverQuotaAction::kDefer) {
    return action == OverQuotaAction::kStore ? "store" : "refuse";
  }
  constexpr std::pair<int, const char*> kUnits[] = {
      {86'400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}};
  for (const auto& [length, unit] : kUnits) {
    if (age.count() > 0 && age.count() % length == 0) {
      return std::string(kAged) + std::to_string(age.count() / length) + unit;
    }
  }
  return "defer";
}

std::optional<OverQuotaPolicy> OverQuotaPolicy::decode(std::string_view code) {
  if (code == "s") {
    return OverQuotaPolicy{};
  }
  if (code == "r") {
    return OverQuotaPolicy{OverQuotaAction::kRefuse};
  }
  if (!code.starts_with('d')) {
    return std::nullopt;
  }
  code.remove_prefix(1);
  if (code.empty()) {
    return deferring({});
  }
  std::uint64_t age = 0;
  const auto [end, error] = std::from_chars(code.data(), code.data() + code.size(), age);
  if (error != std::errc() || end != code.data() + code.size() || code.starts_with('0') ||
      age > kLongest) {
    return std::nullopt;
  }
  return deferring(std::chrono::seconds(age));
}

std::string OverQuotaPolicy::code() const {
  switch (action) {
    case OverQuotaAction::kStore:
      return "s";
    case OverQuotaAction::kRefuse:
      return "r";
    case OverQuotaAction::kDefer:
      break;
  }
  return age.count() == 0 ? "d" : "d" + std::to_string(age.count());
}

}  // namespace lmtpq

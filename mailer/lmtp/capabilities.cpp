#include "mailer/lmtp/capabilities.h"

#include <algorithm>
#include <charconv>

#include "common/ascii.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kMaxLimitDigits = 6;

}  // namespace

Capabilities::Capabilities(const Reply& lhlo) {
  // The first line has the server's name and a greeting.
  for (std::size_t i = 1; i < lhlo.lines.size(); ++i) {
    const std::string& line = lhlo.lines[i];
    const std::size_t space = std::min(line.find(' '), line.size());
    all_.emplace_back(upper_case(std::string_view(line).substr(0, space)),
                      line.substr(std::min(space + 1, line.size())));
    if (all_.back().first == "LIMITS") {
      read_limits(all_.back().second);
    }
  }
}

// limits-parameter = SP 1*(limit-name "=" limit-value) ; limit-value = %x31-39 *5DIGIT, or
// something else for a future limit (RFC 9422 section 3). If a limit appears twice, the lower one
// counts.
void Capabilities::read_limits(std::string_view parameters) {
  const std::pair<std::string_view, std::optional<std::size_t>*> known[] = {
      {"MAILMAX", &mail_max_}, {"RCPTMAX", &rcpt_max_}, {"RCPTDOMAINMAX", &rcpt_domain_max_}};
  while (!parameters.empty()) {
    const std::string_view word = parameters.substr(0, parameters.find(' '));
    parameters.remove_prefix(std::min(word.size() + 1, parameters.size()));
    const std::size_t equals = std::min(word.find('='), word.size());
    const std::string_view digits = word.substr(std::min(equals + 1, word.size()));
    std::size_t number = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() ||
        digits.size() > kMaxLimitDigits || number == 0) {
      continue;
    }
    for (const auto& [name, limit] : known) {
      if (same_word(word.substr(0, equals), name)) {
        *limit = std::min(limit->value_or(number), number);
      }
    }
  }
}

bool Capabilities::offers(std::string_view keyword) const {
  return std::any_of(all_.begin(), all_.end(),
                     [&](const auto& entry) { return entry.first == keyword; });
}

void Capabilities::ignore(std::string_view keyword) {
  std::erase_if(all_, [&](const auto& entry) { return entry.first == keyword; });
}

std::optional<std::uint64_t> Capabilities::size_limit() const {
  for (const auto& [keyword, parameters] : all_) {
    if (keyword != "SIZE") {
      continue;
    }
    std::uint64_t limit = 0;
    const char* const end = parameters.data() + parameters.size();
    const auto parsed = std::from_chars(parameters.data(), end, limit);
    if (parsed.ec == std::errc() && parsed.ptr == end && limit > 0) {
      return limit;
    }
  }
  return std::nullopt;
}

}  // namespace lmtpq::mailer

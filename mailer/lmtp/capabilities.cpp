#include "capabilities.h"

#include <algorithm>
#include <charconv>

#include "ascii.h"

namespace lmtpq {

Capabilities::Capabilities(const Reply& lhlo) {
  // The first line is the server's name and greeting, in whatever words.
  for (std::size_t i = 1; i < lhlo.lines.size(); ++i) {
    const std::string& line = lhlo.lines[i];
    const std::size_t space = std::min(line.find(' '), line.size());
    std::string keyword = line.substr(0, space);
    std::transform(keyword.begin(), keyword.end(), keyword.begin(), ascii_upper);
    all_.emplace_back(std::move(keyword), line.substr(std::min(space + 1, line.size())));
  }
}

bool Capabilities::offers(std::string_view keyword) const {
  return std::any_of(all_.begin(), all_.end(),
                     [&](const auto& entry) { return entry.first == keyword; });
}

std::optional<std::uint64_t> Capabilities::size_limit() const {
  for (const auto& [keyword, parameters] : all_) {
    std::uint64_t limit = 0;
    const char* const end = parameters.data() + parameters.size();
    const auto parsed = std::from_chars(parameters.data(), end, limit);
    if (keyword == "SIZE" && parsed.ec == std::errc() && parsed.ptr == end && limit > 0) {
      return limit;
    }
  }
  return std::nullopt;
}

}  // namespace lmtpq

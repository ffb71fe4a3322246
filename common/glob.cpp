#include "common/glob.h"

#include <algorithm>

#include "common/ascii.h"

namespace lmtpq {
namespace {

// Without a star, and of the same length.
bool same(std::string_view pattern, std::string_view text) {
  return std::equal(pattern.begin(), pattern.end(), text.begin(), [](char p, char t) {
    return p == t || p == '?' || ascii_lower(p) == ascii_lower(t);
  });
}

// Removes from the text all up to the end of the first place that the part fits.
bool take(std::string_view part, std::string_view& text) {
  for (; text.size() >= part.size(); text.remove_prefix(1)) {
    if (same(part, text.substr(0, part.size()))) {
      text.remove_prefix(part.size());
      return true;
    }
  }
  return false;
}

}  // namespace

// The two ends first: they have one place in the text, and few texts have them. What is between two
// stars can be taken where it fits first: a star takes whatever is before a later place.
bool glob_matches(std::string_view pattern, std::string_view text) {
  const std::size_t head = pattern.find('*');
  if (head == std::string_view::npos) {
    return pattern.size() == text.size() && same(pattern, text);
  }
  const std::size_t tail = pattern.size() - pattern.rfind('*') - 1;
  if (text.size() < head + tail ||
      !same(pattern.substr(pattern.size() - tail), text.substr(text.size() - tail)) ||
      !same(pattern.substr(0, head), text.substr(0, head))) {
    return false;
  }
  text = text.substr(head, text.size() - head - tail);
  pattern = pattern.substr(head, pattern.size() - head - tail);
  // A star is at both ends now.
  while (pattern.size() > 1) {
    pattern.remove_prefix(1);
    const std::size_t part = pattern.find('*');
    if (!take(pattern.substr(0, part), text)) {
      return false;
    }
    pattern.remove_prefix(part);
  }
  return true;
}

}  // namespace lmtpq

#include "mailer/lmtp/hops.h"

#include <algorithm>
#include <functional>
#include <random>

#include "common/tag/base64.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kMaxMark = 64;
constexpr char kSeparator = ',';
constexpr char kOfListener = '.';  // is in no base64url

// Of the letters of base64url, and kOfListener: each is allowed in the value of a parameter.
bool is_mark(std::string_view text) {
  return !text.empty() && text.size() <= kMaxMark &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                  c == '-' || c == '_' || c == kOfListener;
         });
}

// Calls visit(mark) for each mark until it returns false. True: it never did.
template <typename Visit>
bool each_mark(std::string_view list, Visit visit) {
  for (;;) {
    const std::size_t end = std::min(list.find(kSeparator), list.size());
    if (!visit(list.substr(0, end))) {
      return false;
    }
    if (end == list.size()) {
      return true;
    }
    list.remove_prefix(end + 1);
  }
}

std::string coded(std::uint64_t number) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) {
    bytes += static_cast<char>(number >> shift);
  }
  return base64url(bytes);
}

std::string random_mark() {
  std::random_device random;
  return coded((std::uint64_t{random()} << 32) | random());
}

}  // namespace

const std::string& instance_mark() {
  static const std::string mark = random_mark();
  return mark;
}

std::string listener_mark(std::string_view address) {
  return instance_mark() + kOfListener + coded(std::hash<std::string_view>()(address));
}

std::string greeting_end(std::string_view mark) {
  return mark.empty() ? "" : " instance=" + std::string(mark.substr(0, mark.find(kOfListener)));
}

bool is_own(const Reply& greeting) {
  const std::string end = greeting_end(instance_mark());
  return std::any_of(greeting.lines.begin(), greeting.lines.end(),
                     [&](const std::string& line) { return line.ends_with(end); });
}

std::optional<Hops> Hops::parse(std::string_view text) {
  if (!each_mark(text, is_mark)) {
    return std::nullopt;
  }
  Hops hops;
  hops.text_ = text;
  return hops;
}

void Hops::add(std::string_view mark) {
  if (!text_.empty()) {
    text_ += kSeparator;
  }
  text_ += mark;
}

bool Hops::contains(std::string_view mark) const {
  return !empty() && !each_mark(text_, [&](std::string_view one) { return one != mark; });
}

bool Hops::came_back() const {
  std::size_t own = 0;
  each_mark(text_, [&](std::string_view mark) {
    own += mark.substr(0, mark.find(kOfListener)) == instance_mark() ? 1 : 0;
    return true;
  });
  return own > 1;
}

std::size_t Hops::count() const {
  return text_.empty()
             ? 0
             : 1 + static_cast<std::size_t>(std::count(text_.begin(), text_.end(), kSeparator));
}

}  // namespace lmtpq::mailer

#include "parameters.h"

#include <charconv>
#include <limits>

namespace store {
namespace {

constexpr const char* kSyntaxError = "501 5.5.4 Syntax error in parameters";
constexpr const char* kUnrecognized = "501 5.5.4 Unrecognized parameters";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// A place in a text; at its end it reads NUL, which no command line holds.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  char take() {
    const char c = peek();
    if (at_ < text_.size()) ++at_;
    return c;
  }
  bool take_if(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (!begins_with(rest(), word)) return false;
    at_ += word.size();
    return true;
  }
  std::size_t position() const { return at_; }
  std::string_view rest() const { return text_.substr(at_); }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

bool skip_domain(Cursor& at) {
  if (at.take_if('[')) {
    while (is_digit(at.peek()) || at.peek() == '.') at.take();
    return at.take_if(']');
  }
  while (is_digit(at.peek()) || is_letter(at.peek()) || at.peek() == '.' || at.peek() == '-') {
    at.take();
  }
  return true;
}

// A-d-l = "@" Domain *( "," "@" Domain ) ":"
bool skip_source_route(Cursor& at) {
  while (at.take_if('@')) {
    if (!skip_domain(at)) return false;
    const bool another = at.peek() == ',' && at.peek(1) == '@';
    const bool ends = at.peek() == ':' && at.peek(1) != '@';
    if (!another && !ends) return false;
    at.take();
  }
  return true;
}

bool skip_quoted(Cursor& at) {
  while (at.peek() != '\0' && at.peek() != '"') {
    if (at.take() == '\\' && at.take() == '\0') return false;
  }
  return at.take_if('"');
}

bool skip_dot_string(Cursor& at) {
  constexpr std::string_view kSpecials = "<>()[]\\,;:\"";
  while (at.peek() != '\0' && at.peek() != '@' && at.peek() != '>') {
    const char c = at.take();
    if (c == '\\') {
      if (at.take() == '\0') return false;
    } else if (c <= ' ' || static_cast<unsigned char>(c) >= 128 ||
               kSpecials.find(c) != std::string_view::npos) {
      return false;
    }
  }
  return true;
}

// xtext = *( "!".."~" without "+" and "=" / "+" 2HEXDIGIT )
void skip_xtext(Cursor& at) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (char c; (c = at.peek()) >= '!' && c <= '~' && c != '='; at.take()) {
    if (c != '+') continue;
    for (int digit = 0; digit < 2; ++digit) {
      at.take();
      if (at.peek() == '\0' || kHex.find(at.peek()) == std::string_view::npos) return;
    }
  }
}

std::string check_size(Cursor& at, std::uint64_t limit) {
  if (!is_digit(at.peek())) return "501 5.5.2 SIZE requires a value";
  const std::uint64_t largest =
      limit ? limit : static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const std::size_t start = at.position();
  const std::string_view digits = at.rest();
  while (is_digit(at.peek())) at.take();
  std::uint64_t size = 0;
  const char* end = digits.data() + (at.position() - start);
  if (std::from_chars(digits.data(), end, size).ec == std::errc() && size <= largest) return "";
  return "552 5.2.3 Message SIZE exceeds fixed maximum message size (" + std::to_string(largest) +
         ")";
}

}  // namespace

bool begins_with(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (lower(text[i]) != lower(word[i])) return false;
  }
  return true;
}

std::string parse_path(std::string_view text) {
  Cursor at(text);
  if (!at.take_if('<') || !skip_source_route(at)) return "";
  if (!(at.take_if('"') ? skip_quoted(at) : skip_dot_string(at))) return "";
  if (at.take_if('@') && !skip_domain(at)) return "";
  if (!at.take_if('>')) return "";
  if (at.peek() != '\0' && at.peek() != ' ') return "";
  return std::string(text.substr(0, at.position()));
}

std::string local_part(std::string_view path) {
  Cursor at(path);
  at.take_if('<');
  skip_source_route(at);
  std::string local;
  const bool quoted = at.take_if('"');
  for (char c; (c = at.peek()) != '\0'; at.take()) {
    if (quoted ? c == '"' : c == '@' || c == '>') break;
    if (c == '\\') {
      at.take();
      c = at.peek();
    }
    local += c;
  }
  return local;
}

std::string check_mail_parameters(std::string_view text, const Extensions& extensions,
                                  std::uint64_t limit) {
  Cursor at(text);
  while (at.take_if(' ')) {
    if (at.take_word("AUTH=")) {
      skip_xtext(at);
    } else if (extensions.eight_bit_mime && at.take_word("BODY=")) {
      if (!at.take_word("7BIT") && !at.take_word("8BITMIME")) {
        return "501 5.5.4 Unrecognized BODY type";
      }
    } else if (extensions.size && at.take_word("SIZE=")) {
      if (std::string refusal = check_size(at, limit); !refusal.empty()) return refusal;
    } else {
      return kUnrecognized;
    }
  }
  return at.rest().empty() ? "" : kSyntaxError;
}

std::string check_rcpt_parameters(std::string_view text, const Extensions& extensions,
                                  bool& ignore_quota) {
  constexpr std::string_view kIgnoreQuota = " IGNOREQUOTA";
  ignore_quota = false;
  if (text.empty()) return "";
  // Cyrus compares the end of the line along with the word, so nothing at all may follow it.
  if (extensions.ignore_quota && text.size() == kIgnoreQuota.size() &&
      begins_with(text, kIgnoreQuota)) {
    ignore_quota = true;
    return "";
  }
  return kUnrecognized;
}

}  // namespace store

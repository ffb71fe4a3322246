#include "tests/dialogues/pattern.h"

#include <stdexcept>
#include <vector>

namespace dialogues {
namespace {

int hex_digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Takes one escape, of which the backslash is gone already.
char take_escape(std::string_view& text) {
  const char kind = text.empty() ? '\0' : text.front();
  text.remove_prefix(text.empty() ? 0 : 1);
  switch (kind) {
    case 'r':
      return '\r';
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case '\\':
    case '*':
    case '?':
    case '#':
      return kind;
    case 'x': {
      const int high = !text.empty() ? hex_digit(text[0]) : -1;
      const int low = text.size() > 1 ? hex_digit(text[1]) : -1;
      if (high < 0 || low < 0) {
        throw std::invalid_argument("\\x needs two digits of 0-9 a-f");
      }
      text.remove_prefix(2);
      return static_cast<char>(high * 16 + low);
    }
    default:
      throw std::invalid_argument(std::string("no such escape: \\") + kind);
  }
}

struct Token {
  enum class Kind { kByte, kAnyByte, kAnyRun } kind;
  char byte;
};

std::vector<Token> tokens(std::string_view pattern) {
  std::vector<Token> made;
  while (!pattern.empty()) {
    const char c = pattern.front();
    pattern.remove_prefix(1);
    if (c == '*') {
      made.push_back({Token::Kind::kAnyRun, c});
    } else if (c == '?') {
      made.push_back({Token::Kind::kAnyByte, c});
    } else {
      made.push_back({Token::Kind::kByte, c == '\\' ? take_escape(pattern) : c});
    }
  }
  return made;
}

}  // namespace

std::string unescape(std::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    bytes.push_back(c == '\\' ? take_escape(text) : c);
  }
  return bytes;
}

// The usual walk with one point of return: only the latest run ever needs to grow.
bool matches(std::string_view pattern, std::string_view line) {
  const std::vector<Token> wanted = tokens(pattern);
  std::size_t w = 0;
  std::size_t l = 0;
  std::size_t run = wanted.size();
  std::size_t run_end = 0;
  while (l < line.size()) {
    if (w < wanted.size() && wanted[w].kind == Token::Kind::kAnyRun) {
      run = w++;
      run_end = l;
    } else if (w < wanted.size() &&
               (wanted[w].kind == Token::Kind::kAnyByte || wanted[w].byte == line[l])) {
      ++w;
      ++l;
    } else if (run < wanted.size()) {
      w = run + 1;
      l = ++run_end;
    } else {
      return false;
    }
  }
  while (w < wanted.size() && wanted[w].kind == Token::Kind::kAnyRun) {
    ++w;
  }
  return w == wanted.size();
}

std::string shown(std::string_view bytes) {
  constexpr std::size_t kMost = 120;
  std::string text;
  for (const char c : bytes.substr(0, kMost)) {
    text.push_back(c >= ' ' && c <= '~' ? c : '?');
  }
  return bytes.size() > kMost ? text + "... (" + std::to_string(bytes.size()) + " bytes)" : text;
}

}  // namespace dialogues

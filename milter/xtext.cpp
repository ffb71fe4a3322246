#include "milter/xtext.h"

#include <charconv>

namespace lmtpq::milter {

std::string from_xtext(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view code = text[i] == '+' ? text.substr(i + 1, 2) : std::string_view();
    unsigned char byte = 0;
    const auto [end, error] = std::from_chars(code.data(), code.data() + code.size(), byte, 16);
    if (code.size() == 2 && error == std::errc() && end == code.data() + 2) {
      plain += static_cast<char>(byte);
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

}  // namespace lmtpq::milter

#include "mailer/json.h"

#include <cstdio>

namespace lmtpq::mailer {

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    // Replies are printable ASCII already; a destination's path need not be.
    if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string json_list(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) {
    out += (out.empty() ? "" : ", ") + item;
  }
  return "[" + out + "]";
}

JsonObject& JsonObject::add(const std::string& name, const std::string& json) {
  text_ += (text_.empty() ? "" : ", ") + json_string(name) + ": " + json;
  return *this;
}

}  // namespace lmtpq::mailer

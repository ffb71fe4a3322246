// Any bytes as a header: the raw texts of the fields are its beginning, and no unfolded value has a
// line end.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  lmtpq::HeaderReader reader(text);
  std::string sum;
  while (const auto field = reader.next()) {
    sum += field->raw;
    const std::string value = lmtpq::unfold(field->value);
    const bool one_line = value.find_first_of("\r\n") == std::string::npos;
    const bool plain_name = field->name.find_first_of(" \t\r\n:") == std::string_view::npos;
    if (!one_line || !plain_name || !field->raw.ends_with("\r\n")) {
      std::abort();
    }
  }
  if (!text.starts_with(sum) || reader.next()) {
    std::abort();
  }
  return 0;
}

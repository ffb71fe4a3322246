// Any bytes as an address: a mailbox keeps its text, and an accepted path is written as it was
// read.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/mailbox.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto mailbox = lmtpq::Mailbox::parse(text)) {
    if (mailbox->text() != text || mailbox->null()) {
      std::abort();
    }
  }
  std::string_view rest = text;
  if (const auto taken = lmtpq::take_path(rest)) {
    const std::string written = taken->path();
    std::string_view again = written;
    const auto second = lmtpq::take_path(again);
    if (!text.ends_with(rest) || !second || second->text() != taken->text() || !again.empty()) {
      std::abort();
    }
  } else if (rest != text) {
    std::abort();
  }
  return 0;
}

// Any text is refused with one line that names the valid forms, or its canonical form is the same
// destination.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/config_error.h"
#include "mailer/settings/destination.h"

namespace {

bool reads_as_itself(const lmtpq::mailer::Destination& made) {
  try {
    const lmtpq::mailer::Destination again = lmtpq::mailer::parse_destination(made.text);
    return !made.host.empty() && again.family == made.family && again.host == made.host &&
           again.port == made.port && again.text == made.text && again.protocol == made.protocol;
  } catch (const lmtpq::ConfigError&) {
    return false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const lmtpq::mailer::Destination made = lmtpq::mailer::parse_destination(text);
    if (!reads_as_itself(made)) {
      std::abort();
    }
  } catch (const lmtpq::ConfigError& error) {
    const std::string_view words = error.what();
    const bool remedy = words.ends_with("smtp:HOST[:PORT]") || words.starts_with("did you mean ");
    if (!remedy || words.find('\n') != std::string_view::npos) {
      std::abort();
    }
  }
  return 0;
}

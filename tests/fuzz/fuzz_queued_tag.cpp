// However a queue file is split, the same is found; a tag is found wherever a line of a header can
// be put.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mailer/check/queued_tag.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  lmtpq::mailer::QueuedTag whole;
  whole.feed(text);
  lmtpq::mailer::QueuedTag cut;
  for (const char& c : text) {
    cut.feed({&c, 1});
  }
  const bool same = whole.found() == cut.found();
  cut.feed("\nH??X-LMTPQ-Tag: v=1\n");
  if (!same || !cut.found()) {
    std::abort();
  }
  return 0;
}

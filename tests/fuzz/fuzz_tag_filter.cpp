// Whatever the input is, and however it is split, no tag is left in the header and nothing else is
// lost.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mailer/lines/canonical_lines.h"
#include "mailer/message/tag_filter.h"

namespace {

// What the filter takes, and what follows the header.
void pass(lmtpq::mailer::TagFilter& filter, std::string_view bytes, std::string& out) {
  const std::size_t taken = filter.feed(bytes, out);
  out += bytes.substr(taken);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lmtpq::mailer::CanonicalLines canonical;
  std::string text;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  while (!bytes.empty()) {
    bytes.remove_prefix(canonical.feed(bytes, text));
  }
  canonical.finish(text);
  lmtpq::mailer::TagFilter whole;
  std::string once;
  pass(whole, text, once);
  whole.finish(once);
  lmtpq::mailer::TagFilter cut;
  std::string pieces;
  for (const char& c : text) {
    pass(cut, {&c, 1}, pieces);
  }
  cut.finish(pieces);
  lmtpq::mailer::TagFilter again;
  std::string twice;
  pass(again, once, twice);
  again.finish(twice);
  if (pieces != once || twice != once || again.found() != 0) {
    std::abort();
  }
  return 0;
}

// Any text can be read as a sendmail.cf: every line that is found has a number in the text, an
// entry has no more than its line, and a comment in front changes only the numbers.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "mailer/check/sendmail_cf.h"

namespace {

using lmtpq::mailer::CfEntry;
using lmtpq::mailer::SendmailCf;

void check(bool good) {
  if (!good) {
    std::abort();
  }
}

bool same(const CfEntry& one, const CfEntry& later) {
  return one.name == later.name && one.fields == later.fields && one.number + 1 == later.number;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t lines =
      static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  const SendmailCf cf = SendmailCf::parse(text);
  for (const auto* const entries : {&cf.mailers, &cf.filters}) {
    for (const CfEntry& entry : *entries) {
      std::size_t length = entry.name.size();
      for (const auto& [letter, value] : entry.fields) {
        length += value.size() + 1;
      }
      check(entry.number >= 1 && entry.number <= lines && length <= size);
    }
  }
  for (const auto& target : cf.targets) {
    check(target.number <= lines && !target.mailer.empty());
  }
  const SendmailCf later = SendmailCf::parse("# comment\n" + std::string(text));
  const bool continues = text.starts_with(' ') || text.starts_with('\t');  // the comment
  check(continues ||
        (cf.options.size() == later.options.size() && cf.refused.size() == later.refused.size() &&
         std::equal(cf.mailers.begin(), cf.mailers.end(), later.mailers.begin(),
                    later.mailers.end(), same)));
  return 0;
}

// Any bytes as a configuration file, and their lines as arguments: accepted, or refused with an
// error of one line.

#include <cstdint>
#include <cstdlib>

#include "common/options/option_reader.h"

namespace {

using lmtpq::Option;
using lmtpq::OptionReader;
using lmtpq::OptionTable;

OptionReader make_options() {
  OptionTable table(4);
  table[0].letter = 'Q';
  table[0].name = "ignore-quota";
  table[0].argument = "WHEN";
  table[0].implicit = "always";
  table[0].read = [](std::string_view) {};
  table[1].name = "connect-timeout";
  table[1].argument = "TIME";
  table[1].read = [](std::string_view text) { lmtpq::parse_duration(text); };
  table[2].letter = 'v';
  table[2].name = "verbose";
  table[2].read = [](std::string_view text) { lmtpq::parse_switch(text); };
  table[3].name = "limits.size";
  table[3].argument = "SIZE";
  table[3].read = [](std::string_view text) { lmtpq::parse_size(text); };
  return OptionReader(std::move(table));
}

template <typename Take>
void check(Take take) {
  try {
    OptionReader options = make_options();
    take(options);
    options.apply();
  } catch (const lmtpq::ConfigError& error) {
    for (const char c : std::string_view(error.what())) {
      if (c >= 0 && c < ' ') {
        std::abort();
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check([&](OptionReader& options) { options.take_text(text, "corpus"); });
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += c;
    }
  }
  check([&](OptionReader& options) { options.take_arguments(lines); });
  return 0;
}

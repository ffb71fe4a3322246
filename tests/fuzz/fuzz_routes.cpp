// Any bytes as a route file give an error of one line with its place, or a RouteFile, in which
// every plain address of the text has a list of stores or an error.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/config_error.h"
#include "common/options/lines.h"
#include "mailer/routes/route_file.h"

namespace {

void look_up(const lmtpq::mailer::RouteFile& file, std::string_view line) {
  const auto mailbox = lmtpq::Mailbox::parse(line.substr(0, line.find_first_of(" \t")));
  if (!mailbox || mailbox->null()) {
    return;
  }
  const lmtpq::mailer::Route route = file.find(*mailbox);
  const auto* const list = std::get_if<lmtpq::mailer::DestinationList>(&route);
  if (list != nullptr && (*list == nullptr || (*list)->empty())) {
    std::abort();
  }
  const auto* const outcome = std::get_if<lmtpq::mailer::Outcome>(&route);
  if (outcome != nullptr && outcome->fate == lmtpq::mailer::Fate::kDelivered) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const lmtpq::mailer::RouteFile file = lmtpq::mailer::RouteFile::parse(text, "corpus");
    int left = 100;
    lmtpq::each_line(text, "corpus", [&](std::string_view line, const std::string&) {
      if (left-- > 0) {
        look_up(file, line);
      }
    });
  } catch (const lmtpq::ConfigError& error) {
    const std::string_view said = error.what();
    if (!said.starts_with("corpus:") || said.find('\n') != std::string_view::npos) {
      std::abort();
    }
  }
  return 0;
}

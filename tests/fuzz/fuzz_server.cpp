// Any bytes from a client: every cut gives the same session, every reply is a short line, and there
// is no message without a recipient.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "lmtp_server.h"

namespace {

using namespace lmtpq;

void check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void check_replies(std::string_view output) {
  while (!output.empty()) {
    const std::size_t end = output.find_first_of("\r\n");
    const std::string_view line = output.substr(0, end);
    check(end >= 4 && end + 2 <= kMaxReplyLine && output.substr(end, 2) == "\r\n");
    check(line[0] >= '2' && line[0] <= '5' && !line.starts_with("421"));
    check(line.find('\0') == std::string_view::npos);
    output.remove_prefix(end + 2);
  }
}

std::string take_output(LmtpServer& server) {
  check_replies(server.output());
  const std::string output = server.output();
  server.output().clear();
  return output;
}

std::string deliver(LmtpServer& server) {
  const std::size_t count = server.envelope().recipients.size();
  check(server.state() == ServerState::kDeciding && count > 0 && count <= 3);
  server.answer(std::vector<std::string>(count, reply_line(250, {2, 1, 5}, "in")));
  return std::to_string(count) + " recipients\n";
}

std::string play(std::string_view input, std::size_t length) {
  ServerLimits limits;
  limits.name = "here";
  limits.max_recipients = 3;
  limits.max_size = 1000;
  LmtpServer server(limits);
  std::string all = take_output(server);
  std::string body;
  while (!input.empty() && server.state() != ServerState::kClosed) {
    std::string_view piece = input.substr(0, length);
    input.remove_prefix(piece.size());
    for (bool more = true; more;) {
      const ServerEvent event = server.advance(piece);
      check(server.state() != ServerState::kData || !server.envelope().recipients.empty());
      all += take_output(server);
      body += server.body();
      server.body().clear();
      if (event == ServerEvent::kMessage) {
        all += body + deliver(server);
        body.clear();
      }
      check(event != ServerEvent::kNeedInput || piece.empty());
      more = event == ServerEvent::kBody || event == ServerEvent::kMessage;
    }
  }
  return all + kServerStateNames[static_cast<int>(server.state())] + body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string whole = play(input, size);
  check(play(input, 1) == whole && play(input, 11) == whole);
  return 0;
}

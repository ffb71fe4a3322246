// Any bytes from a client, which is offered no extension and then all of them: however the bytes
// are cut, the session is the same; every reply is a short line, 421 is the last one, and there is
// no message without a recipient.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "mailer/lmtp/lmtp_server.h"

namespace {

using namespace lmtpq;
using namespace lmtpq::mailer;

void check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void check_replies(std::string_view output, const LmtpServer& server) {
  while (!output.empty()) {
    const std::size_t end = output.find_first_of("\r\n");
    const std::string_view line = output.substr(0, end);
    check(end >= 4 && end + 2 <= kMaxReplyLine && output.substr(end, 2) == "\r\n");
    check(line[0] >= '2' && line[0] <= '5');
    check(!line.starts_with("421") || (server.state() == ServerState::kClosed &&
                                       line.starts_with("421 4.7.0") && end + 2 == output.size()));
    check(line.find('\0') == std::string_view::npos);
    output.remove_prefix(end + 2);
  }
}

std::string take_output(LmtpServer& server) {
  check_replies(server.output(), server);
  const std::string output = server.output();
  server.output().clear();
  return output;
}

std::string deliver(LmtpServer& server, const ServerLimits& limits) {
  const Envelope& envelope = server.envelope();
  const std::size_t count = envelope.recipients.size();
  const auto with_ignore_quota =
      std::count_if(envelope.recipients.begin(), envelope.recipients.end(),
                    [](const Recipient& r) { return r.ignore_quota; });
  check(limits.offers.has(Offer::kIgnoreQuota) || with_ignore_quota == 0);
  check(limits.offers.has(Offer::kTrace) || envelope.trace.empty());
  check(envelope.hops.count() <= Hops::kMaxHops && envelope.hops.empty() == limits.mark.empty());
  check(server.state() == ServerState::kDeciding && count > 0 && count <= 3);
  const std::string trace = envelope.trace.text();
  check(server.answered().recipients.size() == count && server.envelope().recipients.empty());
  return std::to_string(count) + " recipients " + std::to_string(with_ignore_quota) + trace + "\n";
}

ServerLimits usual() {
  ServerLimits limits;
  limits.name = "here";
  limits.max_recipients = 3;
  limits.max_size = 1000;
  return limits;
}

ServerLimits everything() {
  ServerLimits limits = usual();
  limits.offers = {Offer::kPipelining, Offer::kIgnoreQuota, Offer::kTrace, Offer::kLimits};
  limits.max_idle_commands = 5;
  limits.mark = "m.here";
  return limits;
}

std::string play(const ServerLimits& limits, std::string_view input, std::size_t length) {
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
        all += body + deliver(server, limits);
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
  for (const ServerLimits& limits : {usual(), everything()}) {
    const std::string whole = play(limits, input, size);
    check(play(limits, input, 1) == whole && play(limits, input, 11) == whole);
  }
  return 0;
}

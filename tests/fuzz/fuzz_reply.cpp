// Any bytes from a store: however they are cut, the replies are the same, and all text is
// printable.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "mailer/lmtp/capabilities.h"
#include "mailer/lmtp/reply.h"

namespace {

using lmtpq::mailer::Reply;
using lmtpq::mailer::ReplyParser;

void check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

void check_reply(const Reply& reply) {
  check(reply.code >= 100 && reply.code <= 599 && !reply.lines.empty());
  check(!reply.status || reply.status->klass == reply.klass());
  const std::string text = reply.text() + session_id(reply);
  for (const char c : text) {
    check(c >= ' ' && c <= '~');
  }
  check(text.size() <= 3 * ReplyParser::kMaxKept);
  lmtpq::mailer::Capabilities(reply).size_limit();
  const std::string line = lmtpq::mailer::reply_line(reply.code, {reply.klass(), 0, 0}, text);
  check(line.size() <= lmtpq::mailer::kMaxReplyLine &&
        line.find_first_of("\r\n") == line.size() - 2);
}

std::string parse(std::string_view bytes, std::size_t length) {
  ReplyParser parser;
  std::string all;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, length);
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      const auto result = parser.parse(piece);
      if (result == ReplyParser::Result::kBad) {
        return all + parser.bad_reason();
      }
      if (result == ReplyParser::Result::kReply) {
        const Reply reply = parser.take();
        check_reply(reply);
        all += reply.summary() + "\n";
      }
    }
  }
  return all + (parser.amid() ? "amid" : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = parse(bytes, size);
  check(parse(bytes, 1) == whole && parse(bytes, 7) == whole);
  return 0;
}

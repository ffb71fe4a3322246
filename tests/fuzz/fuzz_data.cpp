// Any bytes as DATA: the output has CRLF lines of bounded length and one end, however the input was
// cut, loses nothing but blanks (and NULs, where they are stripped), and decodes to the same
// message. The first byte chooses the line limit, and what becomes of NULs.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "mailer/lines/dot_stuffing.h"

namespace {

using namespace lmtpq;
using namespace lmtpq::mailer;

void check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

// The message; bytes after its end stay in `wire`.
std::string decode(std::string_view& wire, TextRules rules, std::size_t length) {
  DataDecoder decoder(rules);
  std::string message;
  for (bool ended = false; !ended;) {
    check(!wire.empty());
    std::string_view piece = wire.substr(0, length);
    const std::size_t given = piece.size();
    ended = decoder.decode(piece, message);
    wire.remove_prefix(given - piece.size());
  }
  return message;
}

std::string encode(std::string_view message, std::size_t length) {
  DataEncoder encoder;
  std::string wire;
  for (; !message.empty(); message.remove_prefix(std::min(length, message.size()))) {
    encoder.encode(message.substr(0, length), wire);
  }
  return wire + std::string(DataEncoder::kEnd);
}

// Without what breaking lines may add or drop.
std::string words(std::string text) {
  std::erase_if(text,
                [](char c) { return std::string_view(" \t\r\n").find(c) != std::string::npos; });
  return text;
}

void check_message(std::string_view message, std::size_t limit) {
  while (!message.empty()) {
    const std::size_t end = message.find_first_of("\r\n");
    check(end <= limit && message.substr(end, 2) == "\r\n");
    message.remove_prefix(end + 2);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::size_t limit = data[0] % 2 == 0 ? 998 : 5 + data[0] % 64;
  std::string input(reinterpret_cast<const char*>(data) + 1, size - 1);
  input += "\r\n.\r\n";
  const TextRules rules{limit, data[0] % 3 == 0};
  std::string_view rest = input;
  const std::string message = decode(rest, rules, input.size());
  check_message(message, limit);
  check(!rules.strip_nuls || message.find('\0') == std::string::npos);
  std::string_view rest_of_bytes = input;
  check(decode(rest_of_bytes, rules, 1) == message && rest_of_bytes == rest);
  std::string_view unbroken = input;
  check(words(decode(unbroken, {input.size() + 8, rules.strip_nuls}, 7)) == words(message));

  const std::string wire = encode(message, message.size());
  check(encode(message, 1) == wire && encode(message, 7) == wire);
  check(wire == ".\r\n" || wire.find("\r\n.\r\n") == wire.size() - 5);
  std::string_view behind = wire;
  check(decode(behind, rules, wire.size()) == message && behind.empty());
  return 0;
}

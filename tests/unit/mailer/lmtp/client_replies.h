// Short forms for the replies in the tests of LmtpClient.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "mailer/lmtp/lmtp_client.h"

namespace lmtpq::mailer {

// "250 a/354 b": "/" ends a line.
inline std::string lines(std::string_view replies) {
  std::string all;
  for (const char c : replies) {
    all += c == '/' ? "\r\n" : std::string(1, c);
  }
  return replies.empty() ? all : all + "\r\n";
}

// The client receives `bytes`; returns what it then sends.
inline std::string hear(LmtpClient& client, std::string_view bytes) {
  client.receive(bytes);
  return std::exchange(client.output(), {});
}

}  // namespace lmtpq::mailer

// How the tests of LmtpClient write what a store says.
//
// What it is: replies in short, and the client's answer to them.
// What it does not know: which test asks.
// Called by: the tests of LmtpClient.
// Threads and lifetimes: pure functions.
// Failure: none.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "mailer/lmtp/lmtp_client.h"

namespace lmtpq::mailer {

// "250 a/354 b": a line each.
inline std::string lines(std::string_view replies) {
  std::string all;
  for (const char c : replies) {
    all += c == '/' ? "\r\n" : std::string(1, c);
  }
  return replies.empty() ? all : all + "\r\n";
}

// The client hears `bytes`; what it says to them is returned.
inline std::string hear(LmtpClient& client, std::string_view bytes) {
  client.receive(bytes);
  return std::exchange(client.output(), {});
}

}  // namespace lmtpq::mailer

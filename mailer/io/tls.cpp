#include "mailer/io/tls.h"

#include <algorithm>

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kMaxGreeting = 200;

// No TLS record begins with digits.
std::string reply_in(std::string_view bytes) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::string_view line = bytes.substr(0, bytes.find_first_of("\r\n"));
  return line.size() >= 3 && std::all_of(line.begin(), line.begin() + 3, digit) ? std::string(line)
                                                                                : std::string();
}

void note_first(const std::string& received, std::string& first) {
  first += received.substr(0, kMaxGreeting - std::min(first.size(), kMaxGreeting));
}

void name_reply(const std::string& first, std::string* in_clear) {
  if (in_clear != nullptr) {
    *in_clear = reply_in(first);
  }
}

std::string loss(const Channel& channel, Deadline deadline) {
  const bool late = Clock::now() >= deadline || channel.failure().empty();
  return (late ? "timed out" : channel.failure()) + " during the TLS handshake";
}

}  // namespace

bool shake_hands(TlsConnection& connection, Channel& channel, Deadline deadline,
                 std::string& failure, std::string* in_clear) {
  std::string received;
  std::string to_send;
  std::string first;
  for (;;) {
    note_first(received, first);
    const TlsConnection::Handshake state = connection.handshake(received, to_send);
    received.clear();
    if (state == TlsConnection::Handshake::kFailed) {
      // The alert is optional: do not wait for the peer to take it.
      write_all(channel, to_send, received, Clock::now());
      failure = connection.failure();
      name_reply(first, in_clear);
      return false;
    }
    if (!write_all(channel, to_send, received, deadline)) {
      failure = loss(channel, deadline);
      // A peer that no longer reads may have sent an alert with the reason.
      if (state == TlsConnection::Handshake::kNeedMore &&
          connection.handshake(received, to_send) == TlsConnection::Handshake::kFailed) {
        failure = connection.failure();
        note_first(received, first);
        name_reply(first, in_clear);
      }
      return false;
    }
    to_send.clear();
    if (state == TlsConnection::Handshake::kDone) {
      connection.handshake(received, to_send);
      return true;
    }
    std::string_view nothing;
    const bool more =
        !received.empty() || channel.exchange(nothing, received, deadline) == IoStatus::kProgress;
    // A peer that keeps sending useless bytes never times out in the channel.
    if (!more || Clock::now() >= deadline) {
      failure = loss(channel, deadline);
      return false;
    }
  }
}

}  // namespace lmtpq::mailer

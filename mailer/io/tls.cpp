#include "mailer/io/tls.h"

namespace lmtpq::mailer {
namespace {

std::string loss(const Channel& channel, Deadline deadline) {
  const bool late = Clock::now() >= deadline || channel.failure().empty();
  return (late ? "timed out" : channel.failure()) + " during the TLS handshake";
}

}  // namespace

bool shake_hands(TlsConnection& connection, Channel& channel, Deadline deadline,
                 std::string& failure) {
  std::string received;
  std::string to_send;
  for (;;) {
    const TlsConnection::Handshake state = connection.handshake(received, to_send);
    received.clear();
    if (state == TlsConnection::Handshake::kFailed) {
      // The alert is optional: do not wait for the peer to take it.
      write_all(channel, to_send, received, Clock::now());
      failure = connection.failure();
      return false;
    }
    if (!write_all(channel, to_send, received, deadline)) {
      failure = loss(channel, deadline);
      // A peer that no longer reads may have sent an alert with the reason.
      if (state == TlsConnection::Handshake::kNeedMore &&
          connection.handshake(received, to_send) == TlsConnection::Handshake::kFailed) {
        failure = connection.failure();
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

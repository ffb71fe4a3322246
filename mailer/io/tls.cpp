#include "mailer/io/tls.h"

namespace lmtpq::mailer {
namespace {

std::string loss(const Channel& channel, Deadline deadline) {
  const bool late = Clock::now() >= deadline || channel.failure().empty();
  return (late ? "time was up" : channel.failure()) + " during the TLS handshake";
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
      // The alert is a courtesy, not worth a wait.
      write_all(channel, to_send, received, Clock::now());
      failure = connection.failure();
      return false;
    }
    if (!write_all(channel, to_send, received, deadline)) {
      failure = loss(channel, deadline);
      // A peer that stopped listening may have said why.
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
    // A peer that sends for ever, but nothing of use, is never timed out by the channel.
    if (!more || Clock::now() >= deadline) {
      failure = loss(channel, deadline);
      return false;
    }
  }
}

}  // namespace lmtpq::mailer

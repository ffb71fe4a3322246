#include "mailer/secure/tls_layer.h"

#include <openssl/bio.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <new>

#include "mailer/secure/openssl_error.h"
#include "mailer/secure/tls_certificate.h"
#include "mailer/secure/tls_factory.h"

namespace lmtpq::mailer {

TlsLayer::TlsLayer(TlsFactory& factory, SSL* connection)
    : factory_(factory),
      connection_(connection),
      peer_(factory.settings(), factory.name(), facts_) {
  BIO* from_peer = BIO_new(BIO_s_mem());
  BIO* to_peer = BIO_new(BIO_s_mem());
  if (from_peer == nullptr || to_peer == nullptr) {
    BIO_free(from_peer);
    BIO_free(to_peer);
    SSL_free(connection_);
    throw std::bad_alloc();
  }
  SSL_set_bio(connection_, from_peer, to_peer);
  SSL_set_app_data(connection_, this);
  SSL_set_connect_state(connection_);
  const TlsFactory::Session session = factory_.take();
  if (session.openssl && SSL_set_session(connection_, session.openssl.get()) == 1) {
    showed_certificate_ = session.showed_certificate;
  }
}

TlsLayer::~TlsLayer() {
  // Without a shutdown, OpenSSL would make the session unusable for the next connection.
  if (state_ == Handshake::kDone && failure_.empty()) {
    SSL_set_shutdown(connection_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
  SSL_free(connection_);
}

std::optional<std::size_t> TlsLayer::seal(std::string_view plain, std::string& sealed) {
  std::size_t written = 0;
  ERR_clear_error();
  // One record only: the peer can open it, and act on it, once its last byte is written.
  const std::size_t most = std::min<std::size_t>(plain.size(), SSL3_RT_MAX_PLAIN_LENGTH);
  if (failure_.empty() && SSL_write_ex(connection_, plain.data(), most, &written) != 1) {
    failure_ = openssl_error();
  }
  drain(sealed);
  return failure_.empty() ? std::optional(written) : std::nullopt;
}

bool TlsLayer::open(std::string_view sealed, std::string& plain, std::string& answer) {
  take(sealed);
  std::array<char, SSL3_RT_MAX_PLAIN_LENGTH> bytes;
  std::size_t count = 0;
  ERR_clear_error();
  while (failure_.empty() && !ended()) {
    const int result = SSL_read_ex(connection_, bytes.data(), bytes.size(), &count);
    if (result == 1) {
      plain.append(bytes.data(), count);
      continue;
    }
    const int error = SSL_get_error(connection_, result);
    if (error == SSL_ERROR_WANT_READ) {
      break;
    }
    if (error != SSL_ERROR_ZERO_RETURN) {
      failure_ = openssl_error();
    }
  }
  drain(answer);
  return failure_.empty();
}

bool TlsLayer::ended() const {
  // To OpenSSL a fatal alert is an end, too.
  return failure_.empty() && (SSL_get_shutdown(connection_) & SSL_RECEIVED_SHUTDOWN) != 0;
}

std::string TlsLayer::ending() const {
  return ended() ? "the peer closed the connection"
                 : "the peer closed the connection without TLS close_notify";
}

void TlsLayer::seal_end(std::string& sealed) {
  if (failure_.empty()) {
    ERR_clear_error();
    SSL_shutdown(connection_);
    drain(sealed);
  }
}

std::string TlsLayer::channel_binding(const std::string& type) const {
  if (state_ != Handshake::kDone) {
    return {};
  }
  if (type == "tls-server-end-point") {
    X509* leaf = SSL_get0_peer_certificate(connection_);
    return leaf == nullptr ? "" : server_end_point(leaf);
  }
  if (SSL_version(connection_) < TLS1_3_VERSION && SSL_get_extms_support(connection_) != 1) {
    return {};
  }
  return type == "tls-unique" ? finished() : type == "tls-exporter" ? exporter() : "";
}

std::string TlsLayer::finished() const {
  std::array<char, EVP_MAX_MD_SIZE> bytes;
  const std::size_t size = facts_.resumed
                               ? SSL_get_peer_finished(connection_, bytes.data(), bytes.size())
                               : SSL_get_finished(connection_, bytes.data(), bytes.size());
  return {bytes.data(), std::min(size, bytes.size())};
}

std::string TlsLayer::exporter() const {
  constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  std::array<unsigned char, 32> bytes;
  const unsigned char empty = 0;
  if (SSL_export_keying_material(connection_, bytes.data(), bytes.size(), kLabel.data(),
                                 kLabel.size(), &empty, 0, 1) != 1) {
    return {};
  }
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void TlsLayer::take(std::string_view sealed) {
  // Bytes after a failure or a close_notify would never be read.
  if (sealed.empty() || !failure_.empty() || ended()) {
    return;
  }
  std::size_t written = 0;
  if (BIO_write_ex(SSL_get_rbio(connection_), sealed.data(), sealed.size(), &written) != 1) {
    throw std::bad_alloc();
  }
}

void TlsLayer::drain(std::string& sealed) {
  BIO* to_peer = SSL_get_wbio(connection_);
  const std::size_t had = sealed.size();
  std::size_t count = 0;
  sealed.resize(had + BIO_ctrl_pending(to_peer));
  if (sealed.size() > had) {
    BIO_read_ex(to_peer, sealed.data() + had, sealed.size() - had, &count);
  }
  sealed.resize(had + count);
}

}  // namespace lmtpq::mailer

// The handshake of a TlsLayer: the store's certificate, the session to resume.

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <utility>

#include "mailer/secure/openssl_error.h"
#include "mailer/secure/tls_factory.h"
#include "mailer/secure/tls_layer.h"

namespace lmtpq::mailer {
namespace {

TlsLayer& layer_of(const SSL* connection) {
  return *static_cast<TlsLayer*>(SSL_get_app_data(connection));
}

SSL* connection_of(X509_STORE_CTX* chain) {
  return static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
}

}  // namespace

void TlsLayer::install(SSL_CTX* context) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, look_at_chain, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, take_session);
}

TlsLayer::Handshake TlsLayer::handshake(std::string_view received, std::string& to_send) {
  take(received);
  if (state_ != Handshake::kNeedMore) {
    return state_;
  }
  ERR_clear_error();
  const int result = SSL_do_handshake(connection_);
  if (result == 1) {
    state_ = conclude();
  } else if (SSL_get_error(connection_, result) != SSL_ERROR_WANT_READ) {
    state_ = Handshake::kFailed;
    const std::string refusal = peer_.looked() ? peer_.objection() : "";
    failure_ = refusal.empty() ? openssl_error() : refusal;
  }
  drain(to_send);
  return state_;
}

TlsLayer::Handshake TlsLayer::conclude() {
  facts_.resumed = SSL_session_reused(connection_) == 1;
  if (!peer_.looked()) {
    peer_.look_again(connection_);
  }
  failure_ = peer_.objection();
  if (!failure_.empty()) {
    // After a finished handshake this is the only alert that OpenSSL sends.
    SSL_shutdown(connection_);
    return Handshake::kFailed;
  }
  note_facts();
  // TLS 1.3 sends its sessions later, as tickets.
  if (SSL_version(connection_) < TLS1_3_VERSION) {
    keep_session(SSL_get1_session(connection_));
  }
  return Handshake::kDone;
}

void TlsLayer::note_facts() {
  facts_.protocol = SSL_get_version(connection_);
  facts_.cipher = SSL_get_cipher_name(connection_);
  facts_.bits = SSL_get_cipher_bits(connection_, nullptr);
  const TlsLevel level = factory_.settings().level;
  facts_.trust = level == TlsLevel::kVerify        ? TlsTrust::kVerified
                 : level == TlsLevel::kFingerprint ? TlsTrust::kFingerprint
                                                   : TlsTrust::kUnverified;
  if (!facts_.resumed) {
    int type = NID_undef;  // of the signature that proves the certificate to be ours
    showed_certificate_ = SSL_get_signature_type_nid(connection_, &type) == 1;
  }
}

// Called during the handshake: the peer's certificate has come, ours is not sent yet.
int TlsLayer::look_at_chain(X509_STORE_CTX* chain, void*) {
  TlsLayer& layer = layer_of(connection_of(chain));
  layer.peer_.look(chain);
  if (layer.peer_.objection().empty()) {
    return 1;
  }
  if (X509_STORE_CTX_get_error(chain) == X509_V_OK) {
    X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_REJECTED);
  }
  return 0;
}

int TlsLayer::take_session(SSL* connection, SSL_SESSION* session) {
  TlsLayer& layer = layer_of(connection);
  // During the handshake the peer is not verified yet; conclude() takes the session afterwards.
  if (layer.state_ != Handshake::kDone) {
    return 0;
  }
  layer.keep_session(session);
  return 1;  // we own the reference now
}

void TlsLayer::keep_session(SSL_SESSION* session) {
  TlsFactory::Session kept;
  kept.openssl.reset(session);
  kept.showed_certificate = showed_certificate_;
  factory_.keep(std::move(kept));
}

}  // namespace lmtpq::mailer

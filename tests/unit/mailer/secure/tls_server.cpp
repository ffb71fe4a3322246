#include "tests/unit/mailer/secure/tls_server.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace lmtpq::mailer::tls_test {
namespace {

void must(bool well, const char* what) {
  if (!well) {
    throw std::runtime_error(std::string("test server: ") + what);
  }
}

}  // namespace

TlsServer::TlsServer(const Certified* certified) : context_(SSL_CTX_new(TLS_server_method())) {
  must(context_ != nullptr, "context");
  const unsigned char name[] = "test";
  SSL_CTX_set_session_id_context(context_, name, sizeof name);
  if (certified != nullptr) {
    show(*certified);
  } else {
    versions(TLS1_2_VERSION, TLS1_2_VERSION);
    must(SSL_CTX_set_cipher_list(context_, "aNULL:@SECLEVEL=0") == 1, "ciphers");
  }
}

TlsServer::~TlsServer() { SSL_CTX_free(context_); }

void TlsServer::show(const Certified& certified) {
  SSL_CTX_clear_chain_certs(context_);
  must(SSL_CTX_use_certificate(context_, certified.certificate.get()) == 1, "certificate");
  must(SSL_CTX_use_PrivateKey(context_, certified.key.get()) == 1, "key");
  for (X509* intermediate : certified.intermediates) {
    must(SSL_CTX_add1_chain_cert(context_, intermediate) == 1, "chain");
  }
}

TlsServer& TlsServer::versions(int least, int most) {
  must(SSL_CTX_set_min_proto_version(context_, least) == 1, "version");
  must(SSL_CTX_set_max_proto_version(context_, most) == 1, "version");
  return *this;
}

TlsServer& TlsServer::ask_for_certificate(const Authority& clients, bool must_have) {
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), clients.own().certificate.get());
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | (must_have ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
  return *this;
}

TlsStore::TlsStore(const TlsServer& server) : connection_(SSL_new(server.context())) {
  must(connection_ != nullptr, "connection");
  SSL_set_bio(connection_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(connection_);
}

TlsStore::~TlsStore() {
  SSL_set_shutdown(connection_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(connection_);
}

void TlsStore::take(std::string_view sealed) {
  taken += sealed;
  BIO_write(SSL_get_rbio(connection_), sealed.data(), static_cast<int>(sealed.size()));
  std::array<char, 16 * 1024> bytes;
  int count = 0;
  ERR_clear_error();
  while ((count = SSL_read(connection_, bytes.data(), static_cast<int>(bytes.size()))) > 0) {
    heard.append(bytes.data(), static_cast<std::size_t>(count));
  }
  const int why = SSL_get_error(connection_, count);
  got_close_notify = got_close_notify || why == SSL_ERROR_ZERO_RETURN;
  if (why == SSL_ERROR_SSL) {
    failed();
  }
  if (shook_hands() && !to_say_.empty()) {
    say(std::exchange(to_say_, {}));
  }
  flush();
}

void TlsStore::say(std::string_view plain) {
  if (!shook_hands()) {
    to_say_ += plain;
    return;
  }
  ERR_clear_error();
  if (SSL_write(connection_, plain.data(), static_cast<int>(plain.size())) <= 0) {
    failed();
  }
  flush();
}

void TlsStore::send_close_notify() {
  SSL_shutdown(connection_);
  flush();
}

void TlsStore::failed() {
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  error = reason == nullptr ? "?" : reason;
}

void TlsStore::flush() {
  BIO* bio = SSL_get_wbio(connection_);
  std::string bytes(BIO_ctrl_pending(bio), '\0');
  BIO_read(bio, bytes.data(), static_cast<int>(bytes.size()));
  to_client += bytes;
}

IoStatus StoreChannel::exchange(std::string_view& out, std::string& in, Deadline) {
  if (!store_.to_client.empty()) {
    const std::size_t count = std::min(store_.to_client.size(), wire_.most_read);
    in += store_.to_client.substr(0, count);
    store_.to_client.erase(0, count);
    return IoStatus::kProgress;
  }
  if (wire_.ended) {
    failure_ = "the peer closed the connection";
    return IoStatus::kClosed;
  }
  const std::size_t count = std::min(out.size(), wire_.most_write);
  if (count == 0) {
    return IoStatus::kTimeout;
  }
  store_.take(out.substr(0, count));
  out.remove_prefix(count);
  return IoStatus::kProgress;
}

}  // namespace lmtpq::mailer::tls_test

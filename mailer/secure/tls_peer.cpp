#include "mailer/secure/tls_peer.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "common/network/network.h"
#include "mailer/secure/tls_certificate.h"

namespace lmtpq::mailer {
namespace {

constexpr char kOk[] = "ok";
constexpr char kNoCertificate[] = "no certificate";

}  // namespace

TlsPeer::TlsPeer(const TlsSettings& settings, const std::string& name, TlsFacts& facts)
    : settings_(settings), name_(name), facts_(facts) {}

void TlsPeer::look(X509_STORE_CTX* chain) {
  looked_ = true;
  facts_.verification.clear();
  facts_.chain.clear();
  const STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(chain);
  const int count = std::min(sk_X509_num(sent), static_cast<int>(kMaxChain));
  const std::time_t now = std::time(nullptr);
  for (int i = 0; i < count; ++i) {
    facts_.chain.push_back(certificate_facts(sk_X509_value(sent, i), now));
  }
  X509_STORE_CTX_set_app_data(chain, this);
  X509_STORE_CTX_set_verify_cb(chain, note_error);
  const bool ok = X509_verify_cert(chain) == 1;
  ERR_clear_error();  // the error is in `facts_`; the queue is for the one that ends the handshake
  if (facts_.verification.empty()) {
    facts_.verification = ok ? kOk : X509_verify_cert_error_string(X509_STORE_CTX_get_error(chain));
  }
}

// The first error is reported: later ones follow from it. If the level does not verify, the
// verification goes on to its end.
int TlsPeer::note_error(int ok, X509_STORE_CTX* chain) {
  TlsPeer& peer = *static_cast<TlsPeer*>(X509_STORE_CTX_get_app_data(chain));
  if (ok == 0 && peer.facts_.verification.empty()) {
    peer.facts_.verification = X509_verify_cert_error_string(X509_STORE_CTX_get_error(chain));
    X509* culprit = X509_STORE_CTX_get_current_cert(chain);
    peer.culprit_ = culprit == nullptr ? "" : subject_of(culprit);
  }
  return peer.settings_.level == TlsLevel::kVerify ? ok : 1;
}

void TlsPeer::look_again(SSL* connection) {
  // With a cipher without certificates OpenSSL verifies nothing, and does not call look().
  X509* leaf = SSL_get0_peer_certificate(connection);
  if (leaf == nullptr) {
    looked_ = true;
    facts_.verification = kNoCertificate;
    return;
  }
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> chain(X509_STORE_CTX_new(),
                                                                              X509_STORE_CTX_free);
  X509_STORE* store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(connection));
  if (chain &&
      X509_STORE_CTX_init(chain.get(), store, leaf, SSL_get_peer_cert_chain(connection)) == 1 &&
      X509_STORE_CTX_set_default(chain.get(), "ssl_server") == 1 &&
      X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(chain.get()), SSL_get0_param(connection)) ==
          1) {
    look(chain.get());
  } else {
    facts_.verification = "the certificate could not be verified";
  }
}

std::string TlsPeer::objection() const {
  if (settings_.level != TlsLevel::kVerify && settings_.level != TlsLevel::kFingerprint) {
    return {};
  }
  if (facts_.chain.empty()) {
    return "the peer sent no certificate";
  }
  if (settings_.level == TlsLevel::kFingerprint) {
    return fingerprint_objection();
  }
  if (facts_.verification == kOk) {
    return {};
  }
  const bool by_name = facts_.verification.find("mismatch") != std::string::npos;
  const char* const nameless = by_name && facts_.chain.front().names.empty()
                                   ? " (it has no subjectAltName; the CN is not used)"
                                   : "";
  return "certificate of " + (culprit_.empty() ? facts_.chain.front().subject : culprit_) + ": " +
         facts_.verification + (by_name ? ", expected " + bracketed(name_) : "") + nameless;
}

std::string TlsPeer::fingerprint_objection() const {
  const CertificateFacts& leaf = facts_.chain.front();
  const bool known =
      std::any_of(settings_.fingerprints.begin(), settings_.fingerprints.end(),
                  [&](const std::string& fingerprint) {
                    return !fingerprint.empty() &&
                           (fingerprint == leaf.fingerprint || fingerprint == leaf.key_fingerprint);
                  });
  return known ? ""
               : "certificate of " + leaf.subject + ": its fingerprint " + leaf.fingerprint +
                     " is not configured";
}

}  // namespace lmtpq::mailer

#include "mailer/secure/tls_factory.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "common/config_error.h"
#include "mailer/secure/tls_layer.h"
#include "mailer/secure/tls_trust.h"

namespace lmtpq::mailer {
namespace {

bool is_address(const std::string& name) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

// As in certificates: without a DNS name's final dot, and without an IPv6 address's zone.
std::string certified_name(std::string name) {
  if (name.size() > 1 && name.ends_with('.')) {
    name.pop_back();
  }
  const std::string address = name.substr(0, name.find('%'));
  return is_address(address) ? address : name;
}

void check_name(const TlsSettings& settings, const std::string& name) {
  if (settings.level == TlsLevel::kVerify && name.empty()) {
    throw ConfigError(settings.places.of("tls") +
                      ": \"verify\": a unix socket has no host name to verify; set tls-name");
  }
  if (std::any_of(name.begin(), name.end(), [](char c) { return c <= ' ' || c >= '\x7f'; })) {
    throw ConfigError(settings.places.of("tls-name") + ": expected a DNS name in ASCII (xn--...)");
  }
  if (name.starts_with('.')) {  // OpenSSL would accept any subdomain
    throw ConfigError(settings.places.of("tls-name") + ": \"" + name +
                      "\": expected a name without a dot at its start");
  }
}

// OpenSSL then reports "hostname mismatch" or "IP address mismatch" when it verifies the chain.
bool expect_name(SSL* connection, const std::string& name) {
  X509_VERIFY_PARAM* rules = SSL_get0_param(connection);
  X509_VERIFY_PARAM_set_hostflags(
      rules, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (name.empty()) {
    return true;
  }
  if (is_address(name)) {
    return X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str()) == 1;
  }
  return X509_VERIFY_PARAM_set1_host(rules, name.data(), name.size()) == 1 &&
         SSL_set_tlsext_host_name(connection, name.c_str()) == 1;
}

}  // namespace

TlsFactory::TlsFactory(const TlsSettings& settings, const std::string& host)
    : settings_(settings), name_(certified_name(settings.name.empty() ? host : settings.name)) {}

TlsFactory::~TlsFactory() = default;

void TlsFactory::prepare() {
  const std::lock_guard lock(mutex_);
  if (!context_) {
    check_name(settings_, name_);
    TlsContext context = make_tls_context(settings_);
    TlsLayer::install(context.get());
    trust_ = tls_trust(context.get(), settings_);
    context_ = std::move(context);
  }
}

std::unique_ptr<TlsConnection> TlsFactory::connect() {
  prepare();
  ERR_clear_error();
  SSL* connection = SSL_new(context_.get());
  if (connection == nullptr) {
    throw std::bad_alloc();
  }
  auto layer = std::make_unique<TlsLayer>(*this, connection);
  if (!expect_name(connection, name_)) {
    throw ConfigError(settings_.places.of("tls-name") + ": \"" + name_ +
                      "\" cannot be the name of a certificate");
  }
  return layer;
}

std::string TlsFactory::trust() {
  const std::lock_guard lock(mutex_);
  return trust_;
}

void TlsFactory::keep(Session session) {
  if (session.openssl && SSL_SESSION_is_resumable(session.openssl.get()) == 1) {
    const std::lock_guard lock(mutex_);
    session_ = std::move(session);
  }
}

TlsFactory::Session TlsFactory::take() {
  const std::lock_guard lock(mutex_);
  Session session = std::exchange(session_, {});
  // A fatal alert on the connection that it came from invalidates a session (RFC 5246
  // section 7.2.2).
  if (session.openssl && SSL_SESSION_is_resumable(session.openssl.get()) != 1) {
    return {};
  }
  return session;
}

}  // namespace lmtpq::mailer

#include "mailer/secure/tls_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#include "common/config_error.h"
#include "common/open_file.h"
#include "mailer/secure/openssl_error.h"

namespace lmtpq::mailer {
namespace {

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Free>;

[[noreturn]] void refuse(const TlsSettings& settings, const char* option, const std::string& value,
                         const std::string& why) {
  throw ConfigError(settings.places.of(option) + ": \"" + value + "\": " + why);
}

[[noreturn]] void refuse_pem(const TlsSettings& settings, const char* option,
                             const std::string& file, const std::string& why) {
  refuse(settings, option, file, why + openssl_error() + "; name a readable PEM file");
}

// OpenSSL would wait for the writer of a pipe, and for the end of a device.
void require_file(const TlsSettings& settings, const char* option, const std::string& file) {
  if (is_other_than_file(file)) {
    refuse(settings, option, file, "not a regular file; name a readable PEM file");
  }
}

Bio open_pem(const TlsSettings& settings, const char* option, const std::string& file) {
  require_file(settings, option, file);
  Bio made(BIO_new_file(file.c_str(), "r"));
  if (!made) {
    refuse_pem(settings, option, file, "");
  }
  return made;
}

// A mailer has no terminal to ask for a passphrase.
int no_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

bool at_end_of_pem() { return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; }

Bio bio_of(std::string_view text) {
  return Bio(
      BIO_new_mem_buf(text.data(), static_cast<int>(std::min<std::size_t>(text.size(), INT_MAX))));
}

static_assert(kTls10 == TLS1_VERSION && kTls11 == TLS1_1_VERSION && kTls12 == TLS1_2_VERSION &&
              kTls13 == TLS1_3_VERSION);

void set_versions(SSL_CTX* context, const TlsSettings& settings) {
  const int least = settings.least_version == 0 ? kTls12 : settings.least_version;
  const int most = settings.most_version;  // 0: no bound, for OpenSSL too
  if (SSL_CTX_set_min_proto_version(context, least) != 1 ||
      SSL_CTX_set_max_proto_version(context, most) != 1 || (most != 0 && most < least)) {
    throw ConfigError(settings.places.of("tls-protocols") +
                      ": OpenSSL does not support this range of versions");
  }
}

void set_ciphers(SSL_CTX* context, const TlsSettings& settings) {
  if (!settings.ciphers.empty() &&
      SSL_CTX_set_cipher_list(context, settings.ciphers.c_str()) != 1) {
    refuse(settings, "tls-ciphers", settings.ciphers,
           openssl_error() + "; openssl ciphers lists the names");
  }
}

void check_folder(const TlsSettings& settings) {
  const std::string& path = settings.ca_path;
  struct stat status {};
  const bool found = stat(path.c_str(), &status) == 0;
  const bool folder = found && S_ISDIR(status.st_mode);
  if (!folder || access(path.c_str(), R_OK | X_OK) != 0) {
    const char* const why = found && !folder ? "not a directory" : std::strerror(errno);
    refuse(settings, "tls-ca-path", path,
           std::string(why) + "; name a readable folder, prepared by openssl rehash");
  }
}

// As `openssl rehash` makes it: eight hexadecimal digits, a dot and a number.
bool is_hashed_name(std::string_view name) {
  return name.find_first_not_of("0123456789abcdef") == 8 && name[8] == '.';
}

// Whether `test` is true of a file with such a name; the rest is not looked at then.
template <typename Test>
bool any_hashed(const std::string& folder, Test test) {
  std::error_code trouble;
  std::filesystem::directory_iterator entry(folder, trouble);
  for (; !trouble && entry != std::filesystem::directory_iterator(); entry.increment(trouble)) {
    if (is_hashed_name(entry->path().filename().native()) && test(entry->path())) {
      return true;
    }
  }
  return false;
}

// OpenSSL opens them within a handshake.
void require_files_in_folder(const TlsSettings& settings) {
  any_hashed(settings.ca_path, [&](const std::filesystem::path& path) {
    require_file(settings, "tls-ca-path", path);
    return false;
  });
}

bool has_hashed_names(const char* folder) {
  return any_hashed(folder, [](const std::filesystem::path& path) {
    return path.filename().native().substr(8) == ".0";
  });
}

// Reading the system's bundle takes tens of milliseconds, and with `relay` every message has its
// own process. The directory has the same CAs, and OpenSSL reads only those that it needs.
void trust_the_system(SSL_CTX* context) {
  const bool overridden = secure_getenv(X509_get_default_cert_file_env()) != nullptr ||
                          secure_getenv(X509_get_default_cert_dir_env()) != nullptr;
  if (!overridden && has_hashed_names(X509_get_default_cert_dir())) {
    SSL_CTX_set_default_verify_dir(context);
  } else {
    SSL_CTX_set_default_verify_paths(context);
  }
}

void trust(SSL_CTX* context, const TlsSettings& settings) {
  if (settings.ca_file.empty() && settings.ca_path.empty()) {
    trust_the_system(context);
    return;
  }
  require_file(settings, "tls-ca-file", settings.ca_file);
  if (!settings.ca_file.empty() &&
      SSL_CTX_load_verify_file(context, settings.ca_file.c_str()) != 1) {
    refuse_pem(settings, "tls-ca-file", settings.ca_file, "cannot read a CA certificate: ");
  }
  if (!settings.ca_path.empty()) {
    check_folder(settings);
    require_files_in_folder(settings);
    if (SSL_CTX_load_verify_dir(context, settings.ca_path.c_str()) != 1) {
      refuse(settings, "tls-ca-path", settings.ca_path, openssl_error());
    }
  }
}

void check_revocation(SSL_CTX* context, const TlsSettings& settings) {
  const std::string& file = settings.crl_file;
  require_file(settings, "tls-crl-file", file);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  X509_LOOKUP* lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (lookup == nullptr || X509_load_crl_file(lookup, file.c_str(), X509_FILETYPE_PEM) < 1) {
    refuse_pem(settings, "tls-crl-file", file, "cannot read a CRL: ");
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

void use_certificates(SSL_CTX* context, BIO* source, const TlsSettings& settings) {
  const std::string& file = settings.certificate_file;
  bool asked = false;
  const Certificate leaf(PEM_read_bio_X509_AUX(source, nullptr, no_passphrase, &asked));
  if (!leaf) {
    refuse_pem(settings, "tls-cert", file, "cannot read a certificate: ");
  }
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    refuse(settings, "tls-cert", file, "cannot use the certificate: " + openssl_error());
  }
  while (X509* issuer = PEM_read_bio_X509(source, nullptr, no_passphrase, &asked)) {
    if (SSL_CTX_add0_chain_cert(context, issuer) != 1) {
      X509_free(issuer);
      refuse(settings, "tls-cert", file, openssl_error());
    }
  }
  if (!at_end_of_pem()) {
    refuse_pem(settings, "tls-cert", file, "cannot read a certificate after the first: ");
  }
  ERR_clear_error();
}

void use_key(SSL_CTX* context, BIO* source, const TlsSettings& settings) {
  const char* const option = settings.key_file.empty() ? "tls-cert" : "tls-key";
  const std::string& file =
      settings.key_file.empty() ? settings.certificate_file : settings.key_file;
  bool asked = false;
  const PrivateKey key(PEM_read_bio_PrivateKey(source, nullptr, no_passphrase, &asked));
  if (asked) {
    refuse(settings, option, file,
           "the private key is encrypted; remove its passphrase (openssl pkey)");
  }
  if (!key) {
    refuse_pem(settings, option, file, "cannot read a private key: ");
  }
  ERR_clear_error();
  if (X509_check_private_key(SSL_CTX_get0_certificate(context), key.get()) != 1) {
    refuse(settings, option, file,
           "the private key does not belong to the certificate in " + settings.certificate_file +
               "; set tls-key to the key of that certificate");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    refuse(settings, option, file, "cannot use the private key: " + openssl_error());
  }
}

// Without a separate key file, the key's text is that of the certificate's file, which was read
// while we still had the right to; the certificate is then taken from that text, too.
void use_own_certificate(SSL_CTX* context, const TlsSettings& settings) {
  const std::string& file = settings.certificate_file;
  const std::string_view text = settings.key.text();
  const bool together = settings.key_file.empty() && !text.empty();
  Bio source = together ? bio_of(text) : open_pem(settings, "tls-cert", file);
  use_certificates(context, source.get(), settings);
  if (!text.empty()) {
    source = bio_of(text);
  } else {
    source = settings.key_file.empty() ? open_pem(settings, "tls-cert", file)
                                       : open_pem(settings, "tls-key", settings.key_file);
  }
  use_key(context, source.get(), settings);
}

}  // namespace

TlsContext make_tls_context(const TlsSettings& settings) {
  ERR_clear_error();
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  if (!context) {
    throw ConfigError("TLS: " + openssl_error());
  }
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  set_versions(context.get(), settings);
  set_ciphers(context.get(), settings);
  trust(context.get(), settings);
  ERR_clear_error();  // a system without CAs is no failure, but leaves an error in the queue
  if (!settings.crl_file.empty()) {
    check_revocation(context.get(), settings);
  }
  if (!settings.certificate_file.empty()) {
    use_own_certificate(context.get(), settings);
  }
  ERR_clear_error();
  return context;
}

}  // namespace lmtpq::mailer

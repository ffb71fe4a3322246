#include "mailer/secure/tls_certificate.h"

#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>
#include <string_view>

#include "common/network/network.h"

namespace lmtpq::mailer {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

std::string hexadecimal(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

// A NUL within a name must be visible: certificates were forged with it.
std::string printable(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (text.size() >= kMaxText) {
      return text + "...";
    }
    if (c > ' ' && c < '\x7f' && c != '\\') {
      text += c;
    } else {
      text += "\\x" + hexadecimal({&c, 1});
    }
  }
  return text;
}

std::string distinguished_name(const X509_NAME* name) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
  if (!out || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) {
    return {};
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  const std::string text(data, static_cast<std::size_t>(size));
  return text.size() > kMaxText ? text.substr(0, kMaxText) + "..." : text;
}

std::string_view bytes_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string address(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
  if ((bytes.size() != 4 && bytes.size() != 16) ||
      inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr) {
    return hexadecimal(bytes.substr(0, kMaxText / 2));
  }
  return text.data();
}

std::vector<std::string> names_of(const X509* certificate) {
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> all(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  std::vector<std::string> names;
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()) && names.size() < kMaxNames; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type == GEN_DNS) {
      names.push_back("DNS:" + printable(bytes_of(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      names.push_back("IP:" + bracketed(address(bytes_of(name->d.iPAddress))));
    }
  }
  return names;
}

std::string written(const ASN1_TIME* time) {
  std::tm parts{};
  std::array<char, 64> text{};
  if (ASN1_TIME_to_tm(time, &parts) != 1 ||
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
    return {};
  }
  return text.data();
}

long long days_until(const ASN1_TIME* time, std::time_t now) {
  const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> today(ASN1_TIME_set(nullptr, now),
                                                                    ASN1_TIME_free);
  int days = 0;
  int seconds = 0;
  if (!today || ASN1_TIME_diff(&days, &seconds, today.get(), time) != 1) {
    return 0;
  }
  return seconds < 0 ? days - 1 : days;  // an hour ago is -1: expired
}

using Digest = std::array<unsigned char, EVP_MAX_MD_SIZE>;

std::string_view bytes_of(const Digest& digest, unsigned size) {
  return {reinterpret_cast<const char*>(digest.data()), size};
}

}  // namespace

std::string subject_of(X509* certificate) {
  return distinguished_name(X509_get_subject_name(certificate));
}

CertificateFacts certificate_facts(X509* certificate, std::time_t now) {
  CertificateFacts facts;
  facts.subject = subject_of(certificate);
  facts.issuer = distinguished_name(X509_get_issuer_name(certificate));
  facts.names = names_of(certificate);
  facts.not_after = written(X509_get0_notAfter(certificate));
  facts.days_left = days_until(X509_get0_notAfter(certificate), now);
  Digest digest{};
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1) {
    facts.fingerprint = hexadecimal(bytes_of(digest, size));
  }
  unsigned char* der = nullptr;
  const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (length > 0 && EVP_Digest(der, static_cast<std::size_t>(length), digest.data(), &size,
                               EVP_sha256(), nullptr) == 1) {
    facts.key_fingerprint = hexadecimal(bytes_of(digest, size));
  }
  OPENSSL_free(der);
  return facts;
}

std::string server_end_point(X509* certificate) {
  int hash = NID_undef;
  if (X509_get_signature_info(certificate, &hash, nullptr, nullptr, nullptr) != 1) {
    return {};
  }
  const bool weak = hash == NID_md5 || hash == NID_sha1;
  const EVP_MD* type = weak ? EVP_sha256() : EVP_get_digestbynid(hash);
  Digest digest{};
  unsigned size = 0;
  if (type == nullptr || X509_digest(certificate, type, digest.data(), &size) != 1) {
    return {};
  }
  return std::string(bytes_of(digest, size));
}

}  // namespace lmtpq::mailer

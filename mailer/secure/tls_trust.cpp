#include "mailer/secure/tls_trust.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>
#include <vector>

namespace lmtpq::mailer {
namespace {

template <typename Object>
std::string digest(const Object* object,
                   int (*of)(const Object*, const EVP_MD*, unsigned char*, unsigned*)) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  if (of(object, EVP_sha256(), bytes.data(), &size) != 1) {
    return {};
  }
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

std::string digest_of(X509_OBJECT* object) {
  if (const X509* const authority = X509_OBJECT_get0_X509(object)) {
    return "a" + digest(authority, X509_digest);
  }
  return "r" + digest(X509_OBJECT_get0_X509_CRL(object), X509_CRL_digest);
}

std::string stamp_of(const std::filesystem::path& file) {
  struct stat status {};
  const bool found = stat(file.c_str(), &status) == 0;
  const std::array<long long, 5> figures{found, static_cast<long long>(status.st_ino),
                                         static_cast<long long>(status.st_size),
                                         static_cast<long long>(status.st_mtim.tv_sec),
                                         static_cast<long long>(status.st_mtim.tv_nsec)};
  std::string text = "f" + file.filename().string();
  for (const long long figure : figures) {
    text += ' ' + std::to_string(figure);
  }
  return text;
}

// The system's CAs may be in its folder as well (make_tls_context()).
std::string folder_of(const TlsSettings& settings) {
  return settings.ca_path.empty() && settings.ca_file.empty() ? X509_get_default_cert_dir()
                                                              : settings.ca_path;
}

void add_folder(const std::string& folder, std::vector<std::string>& parts) {
  std::error_code trouble;
  std::filesystem::directory_iterator entry(folder, trouble);
  for (; !trouble && entry != std::filesystem::directory_iterator(); entry.increment(trouble)) {
    parts.push_back(stamp_of(entry->path()));
  }
}

}  // namespace

std::string tls_trust(SSL_CTX* context, const TlsSettings& settings) {
  std::vector<std::string> parts;
  STACK_OF(X509_OBJECT)* const objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
  parts.reserve(static_cast<std::size_t>(sk_X509_OBJECT_num(objects)));
  for (int i = 0; i < sk_X509_OBJECT_num(objects); ++i) {
    parts.push_back(digest_of(sk_X509_OBJECT_value(objects, i)));
  }
  if (const std::string folder = folder_of(settings); !folder.empty()) {
    add_folder(folder, parts);
  }
  std::sort(parts.begin(), parts.end());  // the order of files and lines does not matter
  STACK_OF(X509)* intermediates = nullptr;
  SSL_CTX_get0_chain_certs(context, &intermediates);
  if (const X509* const own = SSL_CTX_get0_certificate(context)) {
    parts.push_back("o" + digest(own, X509_digest));
  }
  for (int i = 0; i < sk_X509_num(intermediates); ++i) {
    parts.push_back("i" + digest(sk_X509_value(intermediates, i), X509_digest));
  }
  std::string all;
  for (const std::string& part : parts) {
    all += std::to_string(part.size()) + ' ' + part;
  }
  return all;
}

}  // namespace lmtpq::mailer

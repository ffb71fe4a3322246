#include "mailer/io/secure_loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "common/config_error.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kFile = "lmtpq-secure.so";

std::string path_beside_us() {
  std::array<char, PATH_MAX> own{};
  const ssize_t length = readlink("/proc/self/exe", own.data(), own.size());
  if (length <= 0 || length == static_cast<ssize_t>(own.size())) {
    throw ConfigError(std::string("cannot find ") + kFile + ": /proc/self/exe is not to be read");
  }
  const std::string program(own.data(), static_cast<std::size_t>(length));
  return program.substr(0, program.rfind('/') + 1) + kFile;
}

const SecureParts& load() {
  const std::string path = path_beside_us();
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw ConfigError("cannot load what TLS and AUTH need: " + std::string(dlerror()) +
                      "; make install puts it there");
  }
  auto* const entry = reinterpret_cast<SecureEntry*>(dlsym(library, kSecureEntry));
  const SecureParts* const parts = entry == nullptr ? nullptr : entry(LMTPQ_BUILD);
  if (parts == nullptr) {
    dlclose(library);
    throw ConfigError(path + ": not of the same build as lmtpq; install both anew");
  }
  return *parts;
}

}  // namespace

const SecureParts& secure_parts() {
  static const SecureParts& parts = load();
  return parts;
}

}  // namespace lmtpq::mailer

#include "mailer/io/secure_loader.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "common/config_error.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kFile = "lmtpq-secure.so";

// In the folder of the running program.
std::string library_path() {
  std::array<char, PATH_MAX> program{};
  const ssize_t length = readlink("/proc/self/exe", program.data(), program.size());
  if (length <= 0 || length == static_cast<ssize_t>(program.size())) {
    throw ConfigError(std::string("cannot find ") + kFile +
                      ": cannot read /proc/self/exe; mount /proc");
  }
  const std::string path(program.data(), static_cast<std::size_t>(length));
  return path.substr(0, path.rfind('/') + 1) + kFile;
}

const SecureLibrary& load() {
  const std::string path = library_path();
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    throw ConfigError("cannot load the library for TLS and AUTH: " + std::string(dlerror()) +
                      "; install it with make install");
  }
  auto* const entry = reinterpret_cast<SecureEntry*>(dlsym(handle, kSecureEntryName));
  const SecureLibrary* const library = entry == nullptr ? nullptr : entry(LMTPQ_BUILD);
  if (library == nullptr) {
    dlclose(handle);
    throw ConfigError(path + ": not from the same build as lmtpq; install both again");
  }
  return *library;
}

}  // namespace

const SecureLibrary& secure_library() {
  static const SecureLibrary& library = load();
  return library;
}

}  // namespace lmtpq::mailer

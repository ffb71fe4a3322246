#include "common/secret.h"

#include <fcntl.h>
#include <grp.h>
#include <nettle/memops.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "common/config_error.h"
#include "common/privileges.h"

namespace lmtpq {
namespace {

constexpr std::size_t kMinCapacity = 32;  // more than a string object holds without the heap

struct Close {
  void operator()(FILE* file) const { fclose(file); }
};
using File = std::unique_ptr<FILE, Close>;

// Wipes the text at the end of the scope, after exceptions too.
struct WipedAtEnd {
  explicit WipedAtEnd(std::string& watched) : text(watched) {}
  WipedAtEnd(const WipedAtEnd&) = delete;
  WipedAtEnd& operator=(const WipedAtEnd&) = delete;
  ~WipedAtEnd() { wipe(text); }
  std::string& text;
};

// The name of a second account, beside owner and reader and one other, with this primary group.
// Searches /etc/passwd only: listing all accounts of a name service takes minutes on some sites.
std::string sharer(gid_t group, uid_t owner, uid_t reader) {
  const File accounts(fopen("/etc/passwd", "re"));
  std::string first;
  while (const passwd* entry = accounts ? fgetpwent(accounts.get()) : nullptr) {
    if (entry->pw_gid != group || entry->pw_uid == owner || entry->pw_uid == reader) {
      continue;
    }
    if (!first.empty()) {
      return first;
    }
    first = entry->pw_name;
  }
  return "";
}

void check_file(const struct stat& file, const std::string& path, uid_t reader,
                const std::string& what) {
  if (!S_ISREG(file.st_mode)) {
    throw ConfigError(path + ": not a regular file");
  }
  if ((file.st_mode & 0007) != 0) {
    throw ConfigError(path + ": others may read or write " + what + "; chmod 600 " + path);
  }
  if ((file.st_mode & 0030) != 0) {
    throw ConfigError(path + ": its group may write " + what + "; chmod 640 " + path);
  }
  if (file.st_uid != 0 && file.st_uid != reader) {
    throw ConfigError(path + ": owned by neither root nor the user that reads it; chown root " +
                      path);
  }
  const std::string other =
      (file.st_mode & 0040) != 0 ? sharer(file.st_gid, file.st_uid, reader) : std::string();
  if (!other.empty()) {
    const group* const entry = getgrgid(file.st_gid);
    throw ConfigError(path + ": its group, " +
                      (entry != nullptr ? entry->gr_name : std::to_string(file.st_gid)) +
                      ", is also the primary group of " + other +
                      "; chmod 600, or give the file a separate group");
  }
}

ConfigError unreadable(const std::string& path) {
  switch (const int error = errno; error) {
    case ENOENT:
      return ConfigError(path + ": " + std::strerror(error) +
                         "; create it (mode 600), or correct the name");
    case EACCES:
      return ConfigError(path + ": " + error_as_user(error) +
                         "; let a group of this user read it: chgrp, chmod 640, or chmod 755 its "
                         "folder");
    default:
      return ConfigError(path + ": " + std::strerror(error));
  }
}

}  // namespace

Secret::Secret(std::string_view text) {
  if (!text.empty()) {
    text_.reserve(std::max(text.size(), kMinCapacity));
    text_ = text;
  }
}

// The text is on the heap, and a move hands over that memory.
Secret::Secret(Secret&& other) noexcept : text_(std::exchange(other.text_, {})) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    wipe(text_);
    text_ = std::exchange(other.text_, {});
  }
  return *this;
}

Secret::~Secret() { wipe(text_); }

void wipe(std::string& text) {
  text.resize(text.capacity());
  explicit_bzero(text.data(), text.size());
  text.clear();
}

Secret read_secret_file(const std::string& path, uid_t reader, const char* what) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  const File file(descriptor < 0 ? nullptr : fdopen(descriptor, "r"));
  struct stat facts {};
  if (!file || fstat(descriptor, &facts) != 0) {
    throw unreadable(path);
  }
  check_file(facts, path, reader, what);
  setvbuf(file.get(), nullptr, _IONBF, 0);  // a stdio buffer would not be wiped
  std::string text(kMaxSecretFile + 1, '\0');
  const WipedAtEnd wiped(text);
  text.resize(fread(text.data(), 1, text.size(), file.get()));
  if (ferror(file.get()) != 0) {
    throw ConfigError(path + ": " + std::strerror(errno));
  }
  if (text.size() > kMaxSecretFile) {
    throw ConfigError(path + ": larger than 64 KiB");
  }
  return Secret(text);
}

void forbid_core_dumps() {
  const rlimit none{};
  setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // A sanitizer looks for leaks through ptrace(2), which this forbids too.
  prctl(PR_SET_DUMPABLE, 0);
#endif
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && memeql_sec(a.data(), b.data(), a.size()) != 0;
}

}  // namespace lmtpq

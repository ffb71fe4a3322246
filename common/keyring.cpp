#include "keyring.h"

#include <fcntl.h>
#include <grp.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <optional>
#include <stdexcept>

#include "base64.h"
#include "config.h"
#include "escape.h"

namespace lmtpq {
namespace {

constexpr std::size_t kMaxFile = 64 * 1024;
constexpr std::string_view kBlank = " \t\r";

struct Close {
  void operator()(FILE* file) const { fclose(file); }
};
using File = std::unique_ptr<FILE, Close>;

// Text that is wiped, also when an exception ends its life.
struct Wiped {
  std::string text;
  Wiped() = default;
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;
  ~Wiped() { explicit_bzero(text.data(), text.size()); }
};

const std::uint8_t* octets(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

bool legal_id(std::string_view id) {
  return !id.empty() && id.size() <= Key::kMaxId && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

// Somebody's name who shares the group by his primary group; /etc/passwd only, since asking every
// name service for all its accounts takes minutes on some sites.
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

void check_file(const struct stat& file, const std::string& path, uid_t reader) {
  if (!S_ISREG(file.st_mode)) {
    throw ConfigError(path + ": not a regular file");
  }
  if ((file.st_mode & 0007) != 0) {
    throw ConfigError(path + ": others may read or write the keys; chmod 600 " + path);
  }
  if ((file.st_mode & 0030) != 0) {
    throw ConfigError(path + ": its group may write the keys; chmod 640 " + path);
  }
  if (file.st_uid != 0 && file.st_uid != reader) {
    throw ConfigError(path + ": owned by neither root nor us; chown root " + path);
  }
  const std::string other =
      (file.st_mode & 0040) != 0 ? sharer(file.st_gid, file.st_uid, reader) : std::string();
  if (!other.empty()) {
    const group* const entry = getgrgid(file.st_gid);
    throw ConfigError(
        path + ": its group, " + (entry != nullptr ? entry->gr_name : std::to_string(file.st_gid)) +
        ", is also that of " + other + "; chmod 600, or give the keys a group of their own");
  }
}

void read_text(const std::string& path, uid_t reader, Wiped& into) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  const File file(descriptor < 0 ? nullptr : fdopen(descriptor, "r"));
  struct stat facts {};
  if (!file || fstat(descriptor, &facts) != 0) {
    throw ConfigError(path + ": " + std::strerror(errno));
  }
  check_file(facts, path, reader);
  setvbuf(file.get(), nullptr, _IONBF, 0);  // a buffer of stdio's would not be wiped
  into.text.resize(kMaxFile + 1);
  into.text.resize(fread(into.text.data(), 1, into.text.size(), file.get()));
  if (ferror(file.get()) != 0) {
    throw ConfigError(path + ": " + std::strerror(errno));
  }
  if (into.text.size() > kMaxFile) {
    throw ConfigError(path + ": larger than 64 KiB");
  }
}

std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

std::optional<Key> parse_line(std::string_view line, const std::string& place) {
  const std::string_view id = take_word(line);
  if (id.empty() || id.starts_with('#')) {
    return std::nullopt;
  }
  const std::string_view coded = take_word(line);
  // What stands there may be the secret: it is never repeated in the error.
  if (coded.empty() || !take_word(line).empty()) {
    throw ConfigError(place + "expected `id base64`, as lmtpq keygen prints it");
  }
  if (!legal_id(id)) {
    throw ConfigError(place + "expected an id of 1 to 64 of the characters A-Z a-z 0-9 . _ -");
  }
  auto decoded = from_base64(coded);
  if (!decoded) {
    throw ConfigError(place + "expected base64 behind the id");
  }
  Wiped secret;
  secret.text.swap(*decoded);
  const std::size_t size = secret.text.size();
  Key key(std::string(id), secret.text);
  if (size < Key::kLeastSecret || size > Key::kMostSecret) {
    throw ConfigError(place + "the secret has " + std::to_string(size) +
                      " bytes; expected 16 to 64, as lmtpq keygen makes it");
  }
  return key;
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (getentropy(bytes.data(), count) != 0) {
    throw std::runtime_error("the system has no randomness for us");
  }
  return bytes;
}

}  // namespace

Key::Key(std::string id, std::string secret) : id_(std::move(id)), secret_(std::move(secret)) {}

Key::~Key() { explicit_bzero(secret_.data(), secret_.size()); }

// No secret is so short that it stands in the string itself, where a move would leave its bytes.
Key::Key(Key&& other) noexcept : id_(std::move(other.id_)), secret_(std::move(other.secret_)) {}

Key Key::generate() {
  char day[32];
  const time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  const std::size_t length = strftime(day, sizeof day, "%Y%m%d-", &parts);
  return Key(std::string(day, length) + base64url(random_bytes(3)), random_bytes(32));
}

// nettle and not OpenSSL, whose first HMAC takes a millisecond to set up: in Sendmail's background
// mode every message has a process of its own.
Key::Mac Key::mac(std::string_view bytes) const {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, secret_.size(), octets(secret_));
  hmac_sha256_update(&context, bytes.size(), octets(bytes));
  Mac made{};
  hmac_sha256_digest(&context, made.size(), reinterpret_cast<std::uint8_t*>(made.data()));
  explicit_bzero(&context, sizeof context);
  return made;
}

std::string Key::line() const { return id_ + ' ' + base64(secret_) + '\n'; }

Keyring Keyring::read(const std::string& path, uid_t reader) {
  Wiped file;
  read_text(path, reader, file);
  Keyring keys = parse(file.text, path);
  if (keys.empty()) {
    throw ConfigError(path + ": no key in it; lmtpq keygen prints one");
  }
  return keys;
}

Keyring Keyring::read_or_default(const std::string& path, uid_t reader) {
  if (!path.empty()) {
    return read(path, reader);
  }
  if (access(kDefaultKeyFile, F_OK) != 0 && errno == ENOENT) {
    return {};
  }
  return read(kDefaultKeyFile, reader);
}

Keyring Keyring::parse(std::string_view text, const std::string& name) {
  Keyring ring;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::string place = name + ':' + std::to_string(number) + ": ";
    auto key = parse_line(line, place);
    if (!key) {
      continue;
    }
    if (ring.find(key->id()) != nullptr) {
      throw ConfigError(place + "a second key with the id " + key->id());
    }
    if (ring.keys_.size() == kMaxKeys) {
      throw ConfigError(place + "more than " + std::to_string(kMaxKeys) + " keys");
    }
    ring.keys_.push_back(std::move(*key));
  }
  return ring;
}

const Key* Keyring::find(std::string_view id) const {
  const auto found =
      std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) { return key.id() == id; });
  return found == keys_.end() ? nullptr : &*found;
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && memeql_sec(a.data(), b.data(), a.size()) != 0;
}

void forbid_core_dumps() {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  // A sanitizer looks for leaks through ptrace(2), which this forbids too.
  prctl(PR_SET_DUMPABLE, 0);
#endif
}

}  // namespace lmtpq

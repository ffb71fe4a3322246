#include "common/tag/keyring.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <optional>
#include <stdexcept>

#include "common/config/config.h"
#include "common/config/lines.h"
#include "common/escape.h"
#include "common/tag/base64.h"

namespace lmtpq {
namespace {

constexpr std::string_view kBlank = " \t\r";

const std::uint8_t* octets(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

bool legal_id(std::string_view id) {
  return !id.empty() && id.size() <= Key::kMaxId && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
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
  // The text may be a secret: errors never repeat it.
  if (coded.empty() || !take_word(line).empty()) {
    throw ConfigError(place + "expected `id base64`, as lmtpq keygen prints it");
  }
  if (!legal_id(id)) {
    throw ConfigError(place + "expected an id of 1 to 64 of the characters A-Z a-z 0-9 . _ -");
  }
  auto decoded = from_base64(coded);
  if (!decoded) {
    throw ConfigError(place + "expected base64 after the id");
  }
  const std::size_t size = decoded->size();
  Key key(std::string(id), std::move(*decoded));
  wipe(*decoded);  // a move copies short strings
  if (size < Key::kLeastSecret || size > Key::kMostSecret) {
    throw ConfigError(place + "the secret has " + std::to_string(size) +
                      " bytes; expected 16 to 64, as lmtpq keygen makes it");
  }
  return key;
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (getentropy(bytes.data(), count) != 0) {
    throw std::runtime_error("getentropy failed: " + std::string(strerror(errno)));
  }
  return bytes;
}

}  // namespace

Key::Key(std::string id, std::string secret) : id_(std::move(id)), secret_(secret) { wipe(secret); }

Key Key::generate() {
  char day[32];
  const time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  const std::size_t length = strftime(day, sizeof day, "%Y%m%d-", &parts);
  return Key(std::string(day, length) + base64url(random_bytes(3)), random_bytes(32));
}

// nettle and not OpenSSL, whose first HMAC takes a millisecond to set up: in Sendmail's background
// mode each message has a separate process.
Key::Mac Key::mac(std::string_view bytes) const {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, secret_.text().size(), octets(secret_.text()));
  hmac_sha256_update(&context, bytes.size(), octets(bytes));
  Mac made{};
  hmac_sha256_digest(&context, made.size(), reinterpret_cast<std::uint8_t*>(made.data()));
  explicit_bzero(&context, sizeof context);
  return made;
}

std::string Key::line() const { return id_ + ' ' + base64(secret_.text()) + '\n'; }

Keyring Keyring::read(const std::string& path, uid_t reader) {
  const Secret file = read_secret_file(path, reader, "the keys");
  Keyring keys = parse(file.text(), path);
  if (keys.empty()) {
    throw ConfigError(path + ": contains no key; make one with lmtpq keygen");
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
  each_line(text, name, [&](std::string_view line, const std::string& place) {
    auto key = parse_line(line, place);
    if (!key) {
      return;
    }
    if (ring.find(key->id()) != nullptr) {
      throw ConfigError(place + "a second key with the id " + key->id() + "; ids must be unique");
    }
    if (ring.keys_.size() == kMaxKeys) {
      throw ConfigError(place + "more than " + std::to_string(kMaxKeys) + " keys");
    }
    ring.keys_.push_back(std::move(*key));
  });
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

}  // namespace lmtpq

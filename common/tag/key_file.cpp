#include "common/tag/key_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "common/config_error.h"
#include "common/options/lines.h"
#include "common/tag/base64.h"

namespace lmtpq {
namespace {

constexpr std::string_view kBlank = " \t\r";

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
  if (size < Key::kMinSecret || size > Key::kMaxSecret) {
    throw ConfigError(place + "the secret has " + std::to_string(size) +
                      " bytes; expected 16 to 64, as lmtpq keygen makes it");
  }
  return key;
}

}  // namespace

Keyring read_key_file(const std::string& path, uid_t reader) {
  const Secret file = read_secret_file(path, reader, "the keys");
  Keyring keys = parse_keys(file.text(), path);
  if (keys.empty()) {
    throw ConfigError(path + ": contains no key; make one with lmtpq keygen");
  }
  return keys;
}

Keyring read_key_file_or_default(const std::string& path, uid_t reader) {
  if (!path.empty()) {
    return read_key_file(path, reader);
  }
  if (access(kDefaultKeyFile, F_OK) != 0 && errno == ENOENT) {
    return {};
  }
  return read_key_file(kDefaultKeyFile, reader);
}

Keyring parse_keys(std::string_view text, const std::string& name) {
  std::vector<Key> keys;
  each_line(text, name, [&](std::string_view line, const std::string& place) {
    auto key = parse_line(line, place);
    if (!key) {
      return;
    }
    const auto same_id = [&](const Key& other) { return other.id() == key->id(); };
    if (std::any_of(keys.begin(), keys.end(), same_id)) {
      throw ConfigError(place + "a second key with the id " + key->id() + "; ids must be unique");
    }
    if (keys.size() == Keyring::kMaxKeys) {
      throw ConfigError(place + "more than " + std::to_string(Keyring::kMaxKeys) + " keys");
    }
    keys.push_back(std::move(*key));
  });
  return Keyring(std::move(keys));
}

}  // namespace lmtpq

// The keys that sign and verify tags, read from a file of `id base64` lines.
//
// The first key signs, every key verifies; this allows changing keys. A Keyring is read-only and
// may be used from several threads. Secrets are wiped when a Key ends, and the file's text as soon
// as it is parsed. Errors are ConfigError with file, line and remedy; read_secret_file() checks the
// file's owner and mode.
#pragma once

#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/secret.h"
#include "common/tag/tag_mac.h"

namespace lmtpq {

class Key {
 public:
  static constexpr std::size_t kMaxId = 64;        // of A-Z a-z 0-9 . _ -
  static constexpr std::size_t kLeastSecret = 16;  // bytes; keygen makes 32
  static constexpr std::size_t kMostSecret = 64;

  Key(std::string id, std::string secret);

  // A new random key; its id is the day and some letters.
  static Key generate();

  const std::string& id() const { return id_; }
  Mac mac(std::string_view bytes) const;  // thread-safe
  std::string line() const;               // `id base64\n`

 private:
  std::string id_;
  Secret secret_;
};

inline constexpr const char* kDefaultKeyFile = "/etc/lmtpq/tag.keys";

class Keyring {
 public:
  static constexpr std::size_t kMaxKeys = 64;

  Keyring() = default;  // no keys: nothing can be signed or verified
  // `reader` is the user that the process will run as, and may own the file.
  static Keyring read(const std::string& path, uid_t reader = geteuid());
  // Empty path: kDefaultKeyFile, and no keys if that file does not exist.
  static Keyring read_or_default(const std::string& path, uid_t reader);
  // The same for text in memory; errors call it `name`.
  static Keyring parse(std::string_view text, const std::string& name);

  bool empty() const { return keys_.empty(); }
  const Key& signer() const { return keys_.front(); }  // call only if not empty
  const Key* find(std::string_view id) const;          // nullptr: unknown
  const std::vector<Key>& keys() const { return keys_; }

 private:
  std::vector<Key> keys_;
};

}  // namespace lmtpq

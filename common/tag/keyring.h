// The keys that sign and verify tags.
//
// The first key signs, every key verifies; this allows changing keys. A Keyring is read-only and
// may be used from several threads. Secrets are wiped when a Key ends.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/secret.h"
#include "common/tag/tag_mac.h"

namespace lmtpq {

class Key {
 public:
  static constexpr std::size_t kMaxId = 64;      // of A-Z a-z 0-9 . _ -
  static constexpr std::size_t kMinSecret = 16;  // bytes; keygen makes 32
  static constexpr std::size_t kMaxSecret = 64;

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

class Keyring {
 public:
  static constexpr std::size_t kMaxKeys = 64;

  Keyring() = default;  // no keys: nothing can be signed or verified
  // At most kMaxKeys, with ids that differ.
  explicit Keyring(std::vector<Key> keys) : keys_(std::move(keys)) {}

  bool empty() const { return keys_.empty(); }
  const Key& signer() const { return keys_.front(); }  // call only if not empty
  const Key* find(std::string_view id) const;          // nullptr: unknown
  const std::vector<Key>& keys() const { return keys_; }

 private:
  std::vector<Key> keys_;
};

}  // namespace lmtpq

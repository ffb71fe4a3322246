// The keys that tags are signed and verified with.
//
// What it is: a Key (an id, a secret, HMAC-SHA-256 under it) and a Keyring, read from a file of
//   `id base64` lines; the first key signs, every key verifies (rotation).
// What it does not know: what is signed.
// Called by: both programs at start, the milter on SIGHUP; `lmtpq keygen` prints a line for it.
// Threads and lifetimes: a Keyring is read only once made, and may be used from several threads. A
//   secret is wiped when its Key dies, and what the file's text was kept in as soon as it is read.
// Failure: ConfigError with file, line and remedy. A file that others can read or write is refused:
//   0600, or 0640 with a group of its own, one that is the primary group of one account at most
//   beside the owner and the reader.
#pragma once

#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "common/secret.h"

namespace lmtpq {

class Key {
 public:
  static constexpr std::size_t kMaxId = 64;        // of A-Z a-z 0-9 . _ -
  static constexpr std::size_t kLeastSecret = 16;  // bytes; keygen makes 32
  static constexpr std::size_t kMostSecret = 64;
  using Mac = std::array<char, 32>;

  Key(std::string id, std::string secret);

  // A new one, out of the system's randomness: its id is the day and some letters.
  static Key generate();

  const std::string& id() const { return id_; }
  Mac mac(std::string_view bytes) const;  // HMAC-SHA-256 (RFC 2104); safe in several threads
  std::string line() const;               // `id base64` and a line end

 private:
  std::string id_;
  Secret secret_;
};

inline constexpr const char* kDefaultKeyFile = "/etc/lmtpq/tag.keys";

class Keyring {
 public:
  static constexpr std::size_t kMaxKeys = 64;

  Keyring() = default;  // no keys: nothing can be signed or verified
  // `reader` is the user as whom we shall run; a file of his is no stranger's.
  static Keyring read(const std::string& path, uid_t reader = geteuid());
  // The same; empty: kDefaultKeyFile, and no keys where it does not exist.
  static Keyring read_or_default(const std::string& path, uid_t reader);
  // The same for text that is at hand; `name` is what errors call it.
  static Keyring parse(std::string_view text, const std::string& name);

  bool empty() const { return keys_.empty(); }
  const Key& signer() const { return keys_.front(); }  // of a keyring that is not empty
  const Key* find(std::string_view id) const;          // nullptr: unknown
  const std::vector<Key>& keys() const { return keys_; }

 private:
  std::vector<Key> keys_;
};

// Whether two texts are the same, in a time that does not tell where they differ.
bool same_secret(std::string_view a, std::string_view b);

}  // namespace lmtpq

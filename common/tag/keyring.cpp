#include "common/tag/keyring.h"

#include <string.h>
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <stdexcept>

#include "common/tag/base64.h"

namespace lmtpq {
namespace {

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

Mac Key::mac(std::string_view bytes) const { return tag_mac(secret_, bytes); }

std::string Key::line() const { return id_ + ' ' + base64(secret_.text()) + '\n'; }

const Key* Keyring::find(std::string_view id) const {
  const auto found =
      std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) { return key.id() == id; });
  return found == keys_.end() ? nullptr : &*found;
}

}  // namespace lmtpq

// Any bytes as a key file: keys that can be written and read again, or an error of one line.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/config_error.h"
#include "common/tag/key_file.h"
#include "common/tag/keyring.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const lmtpq::Keyring ring = lmtpq::parse_keys(text, "corpus");
    std::string lines;
    for (const lmtpq::Key& key : ring.keys()) {
      lines += key.line();
    }
    const lmtpq::Keyring again = lmtpq::parse_keys(lines, "again");
    bool same =
        again.keys().size() == ring.keys().size() && ring.keys().size() <= lmtpq::Keyring::kMaxKeys;
    for (const lmtpq::Key& key : ring.keys()) {
      const lmtpq::Key* const other = same ? again.find(key.id()) : nullptr;
      same = other != nullptr && ring.find(key.id()) == &key && other->mac(text) == key.mac(text);
    }
    if (!same) {
      std::abort();
    }
  } catch (const lmtpq::ConfigError& error) {
    const std::string_view said = error.what();
    for (const char c : said) {
      if (c < ' ' || c > '~') {
        std::abort();
      }
    }
    if (!said.starts_with("corpus:") || said.size() > 200) {
      std::abort();
    }
  }
  return 0;
}

// Any bytes as a key file: keys that can be written and read again, or an error of one line; and
// what a change of the keys makes of the file.

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/config_error.h"
#include "common/tag/key_file.h"
#include "common/tag/keyring.h"
#include "mailer/keys/key_rotation.h"

namespace {

// A file from before the change, and one from after it, verify what the other one signs.
bool changes_well(std::string_view text, const lmtpq::Keyring& before) {
  const lmtpq::mailer::KeyChange change = lmtpq::mailer::change_keys(
      text, "corpus", 1'772'971'200, std::chrono::seconds(7 * 24 * 60 * 60));
  if (change.not_before != 0) {
    return change.text.empty();
  }
  const lmtpq::Keyring after = lmtpq::parse_keys(change.text.text(), "changed");
  return after.keys().size() >= 2 && after.find(before.signer().id()) != nullptr &&
         before.find(after.signer().id()) != nullptr &&
         before.find(after.keys()[1].id()) == nullptr;
}

}  // namespace

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
    if (!same || !changes_well(text, ring)) {
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

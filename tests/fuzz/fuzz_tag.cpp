// Any bytes as a tag: a valid tag is valid in any folding, and invalid for another message, later,
// with another key of the same id, and with an extra byte.

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include "common/tag/key_file.h"
#include "common/tag/tag_format.h"

namespace {

using namespace lmtpq;

// The keys and the message of docs/TAG.md.
const Keyring& keys() {
  static const Keyring ring = parse_keys(
      "2026a AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
      "2025b ICEiIyQlJicoKTAxMjM0NTY3ODlAQUJDREVGR0hJUFE=\n",
      "keys");
  return ring;
}

const Keyring& swapped() {
  static const Keyring ring = parse_keys(
      "2025b AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
      "2026a ICEiIyQlJicoKTAxMjM0NTY3ODlAQUJDREVGR0hJUFE=\n",
      "keys");
  return ring;
}

constexpr TaggedMessage kMessage{"<20260301120000.1234@example.org>", "6213AB7c012345"};
constexpr TaggedMessage kOther{"<1@example.org>", "6213AB7c099999"};

bool is_valid(const std::string& value, const Keyring& ring, const TaggedMessage& message,
              std::int64_t now) {
  return std::holds_alternative<Tag>(Tag::verify(value, ring, message, now));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string value(reinterpret_cast<const char*>(data), size);
  if (!is_valid(value, keys(), kMessage, 0)) {
    return 0;
  }
  std::string apart;
  for (const char c : value) {
    (apart += c) += "\r\n\t";
  }
  const bool good = (apart.size() > kMaxTagLength || is_valid(apart, keys(), kMessage, 0)) &&
                    size <= kMaxTagLength && !is_valid(value, keys(), kOther, 0) &&
                    !is_valid(value, swapped(), kMessage, 0) &&
                    !is_valid(value, keys(), kMessage, std::numeric_limits<std::int64_t>::max()) &&
                    !is_valid(value + 'A', keys(), kMessage, 0);
  if (!good) {
    std::abort();
  }
  return 0;
}

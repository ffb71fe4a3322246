// Test vectors: tags made by openssl(1) with the commands of docs/TAG.md and their contents, and
// tags that can be made only with the key.
#pragma once

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <variant>

#include "common/tag/base64.h"
#include "common/tag/key_file.h"
#include "common/tag/tag_format.h"

namespace lmtpq::tags {

inline constexpr std::string_view kToEverybody =
    "v=1; k=2026a; t=6213AB7c012345.9f3kq0vb; q=*; x=1772971200; m=n0gPkA12ca0; i=4GROmIcZ_LQ; "
    "b=RuAKXp9WjTdNGUIolYBA4MbWLnmjglij-wkr9uSt-co";
inline constexpr std::string_view kToTheListed =
    "v=1; k=2026a; t=6213AB7c012345.9f3kq0vb; "
    "q=1jpmIAv8eso,4S13tsgzGqM,nJMdJAvHkFw,o0FXMoJ8M3c; x=1772971200; m=n0gPkA12ca0; "
    "i=4GROmIcZ_LQ; b=7Hf3BIZ93lzWJGz-qCeaOT2_sbXEAJpQo--rsqjY17k";
inline constexpr std::string_view kToNobody =
    "v=1; k=2026a; t=6213AB7c012345.9f3kq0vb; q=-; x=1772971200; i=4GROmIcZ_LQ; "
    "b=CwMoZlYW1ciUH7g3Fxji9ynEDierKNpsauClCg1VGs4";
inline constexpr std::string_view kWithoutQueueId =
    "v=1; k=2026a; t=6213AB7c012345.9f3kq0vb; q=*; x=1772971200; m=n0gPkA12ca0; "
    "b=BAGptz_XKWKoHMzKQrHuuaCk7GTOk0cn2BGl7_rCJBg";
inline constexpr std::string_view kRefusedWhenOld =
    "v=1; k=2026a; t=6213AB7c012345.9f3kq0vb; q=-; o=d259200; x=1772971200; m=n0gPkA12ca0; "
    "i=4GROmIcZ_LQ; b=owhZ5i31an6jR_Yt8MuTSRfLcPhwWjLhH6AAuaKC5a8";
inline constexpr std::string_view kWithPolicies =
    "v=1; k=2026a; t=6213AB7c012345.9f3kq0vb; q=*; "
    "o=r:1jpmIAv8eso,nJMdJAvHkFw,d:4S13tsgzGqM,o0FXMoJ8M3c; x=1772971200; m=n0gPkA12ca0; "
    "i=4GROmIcZ_LQ; b=WttfnKoqPTDkeqtA4oBXKdfy-0t5-tXi4h12JvW1HaM";
inline constexpr std::string_view kOfTheOldKey =
    "v=1; k=2025b; t=6213AB7c012345.9f3kq0vb; q=*; x=1772971200; m=ehUL8IRPkb4; i=reVzSJB4nrI; "
    "b=QfJB4qixLlUvPQ_03vbcljeQ0xQaZUiZd8xQlZ9g0nk";
inline constexpr std::string_view kVectors[] = {kToEverybody,    kToTheListed,    kToNobody,
                                                kWithoutQueueId, kRefusedWhenOld, kWithPolicies,
                                                kOfTheOldKey};

// Of a Message-ID of 3,000 bytes, long_id(); the document's last.
inline constexpr std::string_view kOfALongId =
    "v=1; k=2026a; t=6213AB7c012345-9f3kq0vb; q=*; x=1772971200; m=2-mlm-PgCZE; i=4GROmIcZ_LQ; "
    "b=-8FCiZ-SCUDK-6c8ns8DZ7w3JHL-icTKQS4Isu8Ydo0";

inline constexpr std::string_view kNewKeyLine =
    "2026a AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
inline constexpr std::string_view kOldKeyLine =
    "2025b ICEiIyQlJicoKTAxMjM0NTY3ODlAQUJDREVGR0hJUFE=\n";
inline constexpr std::int64_t kExpiry = 1772971200;
inline constexpr std::string_view kMessageId = "<20260301120000.1234@example.org>";
inline constexpr std::string_view kQueueId = "6213AB7c012345";
inline constexpr TaggedMessage kMessage{kMessageId, kQueueId};

inline const Keyring& ring() {
  static const Keyring keys =
      parse_keys(std::string(kNewKeyLine) + std::string(kOldKeyLine), "keys");
  return keys;
}

inline TagClaims claims(QuotaScope quota) {
  TagClaims made;
  made.trace = *TraceId::parse("6213AB7c012345.9f3kq0vb");
  made.quota = quota;
  if (quota == QuotaScope::kListed) {
    made.listed = {{"<Alice@Example.ORG>", "alice"}, {"<\"bob+news\"@example.org>", "Bob+News"}};
  }
  made.expiry = kExpiry;
  made.message_id = kMessageId;
  made.queue_id = kQueueId;
  return made;
}

inline std::string long_id() { return '<' + std::string(2986, 'x') + "@example.org>"; }

inline std::string squeezed(std::string_view text) {
  std::string kept;
  std::copy_if(text.begin(), text.end(), std::back_inserter(kept),
               [](char c) { return c != ' ' && c != '\t' && c != '\r' && c != '\n'; });
  return kept;
}

// "good" or the name of the fault.
inline std::string verdict(std::string_view value, const TaggedMessage& message = kMessage,
                           std::int64_t now = kExpiry, const Keyring& keys = ring()) {
  const auto result = Tag::verify(value, keys, message, now);
  const auto* const fault = std::get_if<TagFault>(&result);
  return fault == nullptr ? "good" : kTagFaultNames[static_cast<std::size_t>(*fault)];
}

inline Tag believed(std::string_view value, const TaggedMessage& message = kMessage) {
  const auto result = Tag::verify(value, ring(), message, kExpiry);
  CPPUNIT_ASSERT_MESSAGE(std::string(value), std::holds_alternative<Tag>(result));
  return std::get<Tag>(result);
}

// Any text with a valid MAC, as it can be made with the key.
inline std::string sealed(const std::string& text) {
  const Mac mac = ring().signer().mac(text);
  return text + "b=" + base64url({mac.data(), mac.size()});
}

inline std::string digest(const std::string& text) {
  const Mac mac = ring().signer().mac(text);
  return base64url({mac.data(), 8});
}

inline std::string with_quota(const std::string& quota) {
  return sealed("v=1;k=2026a;t=t1;q=" + quota + ";x=1772971200;i=4GROmIcZ_LQ;");
}

inline std::string with_over_quota(const std::string& over_quota) {
  return sealed("v=1;k=2026a;t=t1;q=-;o=" + over_quota + ";x=1772971200;i=4GROmIcZ_LQ;");
}

inline std::string with_expiry(const std::string& expiry) {
  return sealed("v=1;k=2026a;t=t1;q=*;x=" + expiry + ";i=4GROmIcZ_LQ;");
}

}  // namespace lmtpq::tags

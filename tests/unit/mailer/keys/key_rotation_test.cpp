#include "mailer/keys/key_rotation.h"

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

#include "common/config_error.h"
#include "common/tag/key_file.h"
#include "tests/unit/common/freed_memory.h"

using lmtpq::ConfigError;
using lmtpq::Keyring;
using lmtpq::mailer::change_keys;
using lmtpq::mailer::KeyChange;

namespace {

constexpr time_t kDay = 24 * 60 * 60;
constexpr time_t kNow = 1'772'971'200;  // 2026-03-08T12:00:00Z
constexpr std::chrono::seconds kLifetime{7 * kDay};
const std::string kSecret = " MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";

Keyring keys_of(std::string_view text) { return lmtpq::parse_keys(text, "keys"); }

std::string ids_of(std::string_view text) {
  std::string ids;
  const Keyring keys = keys_of(text);
  for (const lmtpq::Key& key : keys.keys()) {
    ids += (ids.empty() ? "" : " ") + key.id();
  }
  return ids;
}

// The file after a change, with the id of the new key replaced by NEW and its secret by a known
// one. `now` is in days after kNow.
std::string changed(const std::string& text, time_t now = 0) {
  const KeyChange change = change_keys(text, "keys", kNow + now * kDay, kLifetime);
  CPPUNIT_ASSERT_EQUAL(time_t{0}, change.not_before);
  std::string made(change.text.text());
  const Keyring keys = keys_of(made);
  for (const lmtpq::Key& key : keys.keys()) {
    if (text.find(key.id()) != std::string::npos) {
      continue;
    }
    const std::string line = key.line();
    made.replace(made.find('\n' + line) + 1, line.size(), "NEW" + kSecret);
    made.replace(made.find(key.id()), key.id().size(), "NEW");
  }
  return made;
}

std::string error_of(const std::string& text) {
  try {
    change_keys(text, "keys", kNow, kLifetime);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

const std::string kNewMark = "# key NEW: next to sign, not before 2026-03-09T12:00:00Z\n";
const std::string kUntil = ": verifies only, until 2026-03-16T12:00:00Z\n";  // lifetime and a day

}  // namespace

class KeyRotationTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(KeyRotationTest);
  CPPUNIT_TEST(aNewFileHasAKeyThatSignsAndTheNextOne);
  CPPUNIT_TEST(theNextKeySignsAndTheFormerOneVerifies);
  CPPUNIT_TEST(withoutANextKeyTheSignerStays);
  CPPUNIT_TEST(aNextKeyThatIsTooNewChangesNothing);
  CPPUNIT_TEST(aFormerKeyIsRemovedAfterItsTime);
  CPPUNIT_TEST(aKeyWithoutACommentIsAFormerSigner);
  CPPUNIT_TEST(theFirstKeySignsWhateverItsCommentSays);
  CPPUNIT_TEST(otherLinesStayWhereTheyAre);
  CPPUNIT_TEST(almostOurCommentIsSomebodysComment);
  CPPUNIT_TEST(aCommentForNoKeyIsRemoved);
  CPPUNIT_TEST(whatIsNoKeyFileIsRefused);
  CPPUNIT_TEST(tooManyKeysAreRefused);
  CPPUNIT_TEST(aFileThatWouldBeTooLargeIsRefused);
  CPPUNIT_TEST(whatSignsIsKnownToEveryNeighbour);
  CPPUNIT_TEST(aKeyStaysAsLongAsItsTags);
  CPPUNIT_TEST(aChangeLeavesNoCopyOfASecret);
  CPPUNIT_TEST_SUITE_END();

  void aNewFileHasAKeyThatSignsAndTheNextOne() {
    const lmtpq::Secret made = lmtpq::mailer::first_keys(kNow);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, keys_of(made.text()).keys().size());
    const std::string next = keys_of(made.text()).keys()[1].id();
    CPPUNIT_ASSERT(
        made.text().find("# key " + next + ": next to sign, not before 2026-03-08T12:00:00Z\n") !=
        std::string::npos);
    CPPUNIT_ASSERT_EQUAL(next, keys_of(changed(std::string(made.text()))).signer().id());
  }

  void theNextKeySignsAndTheFormerOneVerifies() {
    const std::string next = "# key b: next to sign, not before 2026-03-08T12:00:00Z\n";
    CPPUNIT_ASSERT_EQUAL(
        "b" + kSecret + kNewMark + "NEW" + kSecret + "# key a" + kUntil + "a" + kSecret,
        changed("a" + kSecret + next + "b" + kSecret));
  }

  void withoutANextKeyTheSignerStays() {
    CPPUNIT_ASSERT_EQUAL("a" + kSecret + kNewMark + "NEW" + kSecret, changed("a" + kSecret));
    const KeyChange change = change_keys("a" + kSecret, "keys", kNow, kLifetime);
    CPPUNIT_ASSERT_EQUAL(std::string("signs as before"), change.keys.at(0).second);
  }

  void aNextKeyThatIsTooNewChangesNothing() {
    const KeyChange change = change_keys(
        "a" + kSecret + "# key b: next to sign, not before 2026-03-08T12:00:01Z\nb" + kSecret,
        "keys", kNow, kLifetime);
    CPPUNIT_ASSERT_EQUAL(kNow + 1, change.not_before);
    CPPUNIT_ASSERT(change.text.empty());
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, change.keys.size());
    CPPUNIT_ASSERT_EQUAL(std::string("b"), change.keys[0].first);
  }

  void aFormerKeyIsRemovedAfterItsTime() {
    const std::string text = "a" + kSecret +
                             "# key z: verifies only, until 2026-03-08T11:59:59Z\nz" + kSecret +
                             "# key y: verifies only, until 2026-03-08T12:00:00Z\ny" + kSecret;
    const std::string made = changed(text);
    CPPUNIT_ASSERT_EQUAL(std::string("a NEW y"), ids_of(made));
    CPPUNIT_ASSERT(made.find("# key z") == std::string::npos);
    CPPUNIT_ASSERT(made.find("# key y: verifies only, until 2026-03-08T12:00:00Z\n") !=
                   std::string::npos);
    CPPUNIT_ASSERT_EQUAL(std::string("removed"),
                         change_keys(text, "keys", kNow, kLifetime).keys.at(2).second);
  }

  void aKeyWithoutACommentIsAFormerSigner() {
    CPPUNIT_ASSERT_EQUAL(
        "a" + kSecret + kNewMark + "NEW" + kSecret + "# key b" + kUntil + "b" + kSecret,
        changed("a" + kSecret + "b" + kSecret));
  }

  void theFirstKeySignsWhateverItsCommentSays() {
    for (const char* const comment : {"next to sign, not before 2030-01-01T00:00:00Z",
                                      "verifies only, until 2020-01-01T00:00:00Z"}) {
      const std::string made = changed("# key a: " + std::string(comment) + "\na" + kSecret);
      CPPUNIT_ASSERT_EQUAL("a" + kSecret + kNewMark + "NEW" + kSecret, made);
    }
  }

  void otherLinesStayWhereTheyAre() {
    const std::string made =
        changed("# ours\n\n\t b" + kSecret.substr(0, kSecret.size() - 1) + "\r\n# between\n#c\nc" +
                kSecret + "# last, without a line end");
    CPPUNIT_ASSERT_EQUAL("# ours\n\n\t b" + kSecret.substr(0, kSecret.size() - 1) + "\r\n" +
                             kNewMark + "NEW" + kSecret + "# between\n#c\n# key c" + kUntil + "c" +
                             kSecret + "# last, without a line end\n",
                         made);
  }

  void almostOurCommentIsSomebodysComment() {
    for (const std::string line :
         {"# key b: next to sign, not before Monday", "# key b: next to sign",
          "# key b: verifies only, until 2026-03-08T11:59:59Z, I think", "#key b: mine"}) {
      const std::string made = changed("a" + kSecret + line + "\nb" + kSecret);
      CPPUNIT_ASSERT_EQUAL(
          "a" + kSecret + kNewMark + "NEW" + kSecret + line + "\n# key b" + kUntil + "b" + kSecret,
          made);
    }
  }

  void aCommentForNoKeyIsRemoved() {
    CPPUNIT_ASSERT_EQUAL(
        "a" + kSecret + kNewMark + "NEW" + kSecret,
        changed("# key gone: next to sign, not before 2030-01-01T00:00:00Z\na" + kSecret));
  }

  void whatIsNoKeyFileIsRefused() {
    CPPUNIT_ASSERT_EQUAL(std::string("keys: contains no key; append one: lmtpq keygen >> keys"),
                         error_of("# nothing\n"));
    CPPUNIT_ASSERT_EQUAL(std::string("keys:1: expected `id base64`, as lmtpq keygen prints it"),
                         error_of("a\n"));
  }

  void tooManyKeysAreRefused() {
    std::string text;
    for (int i = 0; i < 64; ++i) {
      text += "k" + std::to_string(i) + kSecret;
    }
    CPPUNIT_ASSERT_EQUAL(
        std::string("keys: has as many keys as it may have, 64; remove former ones"),
        error_of(text));
    const std::string all = "# key k9: verifies only, until 2026-03-08T11:59:59Z\n" + text;
    CPPUNIT_ASSERT_EQUAL(std::size_t{64}, keys_of(changed(all)).keys().size());
  }

  void aFileThatWouldBeTooLargeIsRefused() {
    const std::string text = "a" + kSecret;
    CPPUNIT_ASSERT_EQUAL(std::string("keys: with a new key it would be larger than 64 KiB"),
                         error_of(text + std::string(64 * 1024 - text.size() - 1, '#') + "\n"));
  }

  // Programs read the file before or after a change, in any order: what one of them signs, all
  // others verify.
  void whatSignsIsKnownToEveryNeighbour() {
    std::string before(lmtpq::mailer::first_keys(kNow).text());
    for (time_t day = 1; day < 40; ++day) {
      const KeyChange change = change_keys(before, "keys", kNow + day * kDay, kLifetime);
      CPPUNIT_ASSERT_EQUAL(time_t{0}, change.not_before);
      const std::string after(change.text.text());
      CPPUNIT_ASSERT(keys_of(before).find(keys_of(after).signer().id()) != nullptr);
      CPPUNIT_ASSERT(keys_of(after).find(keys_of(before).signer().id()) != nullptr);
      CPPUNIT_ASSERT(keys_of(after).signer().id() != keys_of(before).signer().id());
      CPPUNIT_ASSERT(keys_of(after).keys().size() <= 11);
      before = after;
    }
  }

  void aChangeLeavesNoCopyOfASecret() {
    const std::string secret = kSecret.substr(1, kSecret.size() - 2);
    std::string text;
    for (const char* const id : {"a ", "b ", "c "}) {
      text += id + secret + '\n';
    }
    const FreedMemory freed(secret);
    {
      const KeyChange change = change_keys(text, "keys", kNow, kLifetime);
      CPPUNIT_ASSERT(change.text.text().find(secret) != std::string_view::npos);
    }
    CPPUNIT_ASSERT_EQUAL(0, freed.holding_it());
  }

  // A tag of the last moment, signed a day late by a milter that was reloaded then, is good for
  // the whole lifetime.
  void aKeyStaysAsLongAsItsTags() {
    std::string text(lmtpq::mailer::first_keys(kNow).text());
    const std::string first = keys_of(text).signer().id();
    for (time_t day = 1; day <= 9; ++day) {
      CPPUNIT_ASSERT_MESSAGE(std::to_string(day), keys_of(text).find(first) != nullptr);
      text = change_keys(text, "keys", kNow + day * kDay, kLifetime).text.text();
    }
    CPPUNIT_ASSERT(keys_of(text).find(first) != nullptr);  // 8 days after the first change
    text = change_keys(text, "keys", kNow + 10 * kDay, kLifetime).text.text();
    CPPUNIT_ASSERT(keys_of(text).find(first) == nullptr);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(KeyRotationTest);

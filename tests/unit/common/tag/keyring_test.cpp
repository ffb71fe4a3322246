#include "common/tag/keyring.h"

#include <cppunit/extensions/HelperMacros.h>

#include <cstring>
#include <ctime>
#include <new>
#include <set>

#include "common/options/option_reader.h"
#include "common/tag/base64.h"
#include "common/tag/key_file.h"
#include "tests/unit/common/freed_memory.h"

using lmtpq::ConfigError;
using lmtpq::Key;
using lmtpq::Keyring;
using lmtpq::parse_keys;

namespace {

const std::string kSecret = "0123456789abcdef0123456789abcdef";
const std::string kCoded = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
// Letters and digits only, so that it would be a legal id too.
const std::string kPlainCoded = "VGhpcyBpcyBhIHNlY3JldCB0aGF0IG5vYm9keSBtYXkgc2Vl";

std::string error_of(const std::string& text) {
  try {
    parse_keys(text, "tag.keys");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

std::string hex(const lmtpq::Mac& mac) {
  std::string text;
  for (const char c : mac) {
    const auto byte = static_cast<unsigned char>(c);
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

}  // namespace

class KeyringTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(KeyringTest);
  CPPUNIT_TEST(theFirstKeySignsAndAllAreFound);
  CPPUNIT_TEST(macsAreThoseOfRfc4231);
  CPPUNIT_TEST(blanksCommentsAndLineEndsAreIgnored);
  CPPUNIT_TEST(aTextWithoutKeysIsAnEmptyRing);
  CPPUNIT_TEST(errorsNameTheLine);
  CPPUNIT_TEST(idsAndSecretsHaveTheirLimits);
  CPPUNIT_TEST(sixtyFourKeysAreTheMost);
  CPPUNIT_TEST(noErrorRepeatsTheSecret);
  CPPUNIT_TEST(aWrittenKeyCanBeReadAgain);
  CPPUNIT_TEST(aGeneratedKeyIsNewEachTime);
  CPPUNIT_TEST(aMovedKeyLeavesNoCopyOfTheSecret);
  CPPUNIT_TEST(aDestroyedKeyIsWiped);
  CPPUNIT_TEST_SUITE_END();

  void theFirstKeySignsAndAllAreFound() {
    const Keyring ring = parse_keys("new " + kCoded + "\nold " + kPlainCoded + "\n", "keys");
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, ring.keys().size());
    CPPUNIT_ASSERT_EQUAL(std::string("new"), ring.signer().id());
    CPPUNIT_ASSERT(ring.find("new") == &ring.keys()[0]);
    CPPUNIT_ASSERT(ring.find("old") == &ring.keys()[1]);
    for (const char* const id : {"", "ne", "New", "new ", "newer", "old\n"}) {
      CPPUNIT_ASSERT_MESSAGE(id, ring.find(id) == nullptr);
    }
    CPPUNIT_ASSERT(ring.signer().mac("x") == Key("any", kSecret).mac("x"));
    CPPUNIT_ASSERT(ring.signer().mac("x") != ring.find("old")->mac("x"));
  }

  void macsAreThoseOfRfc4231() {
    CPPUNIT_ASSERT_EQUAL(
        std::string("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        hex(Key("k", std::string(20, '\x0b')).mac("Hi There")));
    CPPUNIT_ASSERT_EQUAL(
        std::string("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        hex(Key("k", "Jefe").mac("what do ya want for nothing?")));
    CPPUNIT_ASSERT_EQUAL(
        std::string("773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        hex(Key("k", std::string(20, '\xaa')).mac(std::string(50, '\xdd'))));
  }

  void blanksCommentsAndLineEndsAreIgnored() {
    const Keyring ring =
        parse_keys("# a comment\n\n  \t\r\n#" + kCoded + "\r\n \t# another\n\ta \t " + kCoded +
                       " \t\r\nb " + kCoded + "\n\r\nc\t" + kCoded,
                   "keys");
    CPPUNIT_ASSERT_EQUAL(std::size_t{3}, ring.keys().size());
    for (const char* const id : {"a", "b", "c"}) {
      CPPUNIT_ASSERT_MESSAGE(id, ring.find(id) != nullptr);
      CPPUNIT_ASSERT_EQUAL(hex(Key("k", kSecret).mac("x")), hex(ring.find(id)->mac("x")));
    }
  }

  void aTextWithoutKeysIsAnEmptyRing() {
    for (const char* const text : {"", "\n", "# none\n", "\r\n \t"}) {
      CPPUNIT_ASSERT(parse_keys(text, "keys").empty());
      CPPUNIT_ASSERT(parse_keys(text, "keys").find("") == nullptr);
    }
    CPPUNIT_ASSERT(Keyring().empty());
    CPPUNIT_ASSERT(!parse_keys("a " + kCoded, "keys").empty());
  }

  void errorsNameTheLine() {
    const struct {
      std::string text;
      const char* error;
    } rows[] = {
        {"a\n", "tag.keys:1: expected `id base64`, as lmtpq keygen prints it"},
        {"\n# c\na " + kCoded + " more\n",
         "tag.keys:3: expected `id base64`, as lmtpq keygen prints it"},
        {"a " + kCoded + " # mine\n",
         "tag.keys:1: expected `id base64`, as lmtpq keygen prints it"},
        {"a/b " + kCoded,
         "tag.keys:1: expected an id of 1 to 64 of the characters A-Z a-z 0-9 . _ -"},
        {"\xef\xbb\xbf"
         "a " +
             kCoded,
         "tag.keys:1: expected an id of 1 to 64 of the characters A-Z a-z 0-9 . _ -"},
        {"a " + kCoded + "\n\nb " + kCoded + "\na " + kPlainCoded,
         "tag.keys:4: a second key with the id a; ids must be unique"},
        {"a MTIzNDU2Nzg5MDEyMzQ1\n",
         "tag.keys:1: the secret has 15 bytes; expected 16 to 64, as lmtpq keygen makes it"},
    };
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.error), error_of(row.text));
    }
    for (const std::string& coded :
         {kCoded.substr(1), kCoded + '=', kCoded.substr(0, 43), "-" + kCoded.substr(1),
          '_' + kCoded.substr(1), kSecret.substr(1), kCoded.substr(0, 42) + "Z="}) {
      const std::string said = error_of("# c\na " + coded + "\n");
      CPPUNIT_ASSERT_MESSAGE(said, said.starts_with("tag.keys:2: expected base64"));
      CPPUNIT_ASSERT_MESSAGE(said, said.find(coded) == std::string::npos);
    }
  }

  void idsAndSecretsHaveTheirLimits() {
    const std::string longest(Key::kMaxId, 'i');
    for (const std::string& id : {longest, std::string("a"), std::string("."), std::string("-"),
                                  std::string("_"), std::string("AZaz09._-")}) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(id, std::string("no error"), error_of(id + ' ' + kCoded));
    }
    for (const std::string& id :
         {longest + 'i', std::string("a;b"), std::string("a=b"), std::string("a,b"),
          std::string("\xc3\xa4"), std::string("a\0b", 3), std::string("a\x1b"),
          std::string("a\v")}) {
      CPPUNIT_ASSERT_MESSAGE(id,
                             error_of(id + ' ' + kCoded).starts_with("tag.keys:1: expected an id"));
    }
    for (const std::size_t size : {1U, 15U, 16U, 17U, 32U, 63U, 64U, 65U, 4096U}) {
      const std::string said = error_of("a " + lmtpq::base64(std::string(size, 's')));
      const bool good = size >= Key::kMinSecret && size <= Key::kMaxSecret;
      CPPUNIT_ASSERT_EQUAL_MESSAGE(said, good, said == "no error");
      CPPUNIT_ASSERT(good || said.find(std::to_string(size) + " bytes") != std::string::npos);
    }
  }

  void sixtyFourKeysAreTheMost() {
    std::string text;
    for (int i = 1; i <= 64; ++i) {
      text += "k" + std::to_string(i) + ' ' + kCoded + '\n';
    }
    CPPUNIT_ASSERT_EQUAL(std::string("no error"), error_of(text));
    CPPUNIT_ASSERT_EQUAL(std::string("tag.keys:65: more than 64 keys"),
                         error_of(text + "k65 " + kCoded + '\n'));
  }

  void noErrorRepeatsTheSecret() {
    for (const std::string& coded : {kCoded, kPlainCoded}) {
      const std::string texts[] = {coded,         // no id
                                   coded + " a",  // the wrong way round
                                   coded + " a b",
                                   "a " + coded + ' ' + coded,  // too many words
                                   "a " + coded + 'A',          // no base64
                                   "a b " + coded,
                                   "a=" + coded,  // as in other files
                                   "a = " + coded,
                                   "a:" + coded,
                                   "a \"" + coded + '"',
                                   "a " + coded + "\na " + coded,
                                   "a/b " + coded,
                                   coded + "\n" + coded,
                                   "a " + coded + coded,
                                   "a " + coded.substr(0, 12)};  // too short
      for (const std::string& text : texts) {
        const std::string said = error_of(text);
        CPPUNIT_ASSERT_MESSAGE(text, said.starts_with("tag.keys:"));
        CPPUNIT_ASSERT_MESSAGE(said, said.find(coded.substr(0, 12)) == std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(said, said.find(kSecret) == std::string::npos);
        CPPUNIT_ASSERT_MESSAGE(said, said.find('\n') == std::string::npos);
      }
    }
  }

  void aWrittenKeyCanBeReadAgain() {
    const std::string line = "a.b_c-9 " + kCoded + '\n';
    CPPUNIT_ASSERT_EQUAL(line, parse_keys(line, "keys").signer().line());
    CPPUNIT_ASSERT_EQUAL(line, Key("a.b_c-9", kSecret).line());
  }

  void aGeneratedKeyIsNewEachTime() {
    const auto today = [] {
      char day[16];
      const time_t now = time(nullptr);
      tm parts{};
      gmtime_r(&now, &parts);
      return std::string(day, strftime(day, sizeof day, "%Y%m%d-", &parts));
    };
    std::set<std::string> ids;
    std::set<std::string> secrets;
    for (int i = 0; i < 20; ++i) {
      const std::string before = today();
      const Key key = Key::generate();
      CPPUNIT_ASSERT(key.id().starts_with(before) || key.id().starts_with(today()));
      const Keyring ring = parse_keys(key.line(), "keys");
      CPPUNIT_ASSERT_EQUAL(key.id(), ring.signer().id());
      CPPUNIT_ASSERT_EQUAL(hex(key.mac("x")), hex(ring.signer().mac("x")));
      const std::string coded = key.line().substr(key.id().size() + 1);
      CPPUNIT_ASSERT_EQUAL(std::size_t{45}, coded.size());  // 32 bytes and the line end
      ids.insert(key.id());
      secrets.insert(coded);
    }
    CPPUNIT_ASSERT_EQUAL(std::size_t{20}, secrets.size());
    CPPUNIT_ASSERT(ids.size() >= 19);  // of 16 million a day, the same one may come twice
  }

  void aMovedKeyLeavesNoCopyOfTheSecret() {
    for (const std::string& secret : {kSecret, std::string("short")}) {
      Key from("a", secret);
      const Key to(std::move(from));
      CPPUNIT_ASSERT_EQUAL(std::string("a"), to.id());
      CPPUNIT_ASSERT(to.mac("x") == Key("b", secret).mac("x"));
      const std::string left = from.line();
      CPPUNIT_ASSERT(left.find(lmtpq::base64(secret).substr(0, 4)) == std::string::npos);
    }
  }

  void aDestroyedKeyIsWiped() {
    for (const std::string& secret : {kSecret, std::string("s3cr3t-bytes-of-32-or-not-so-many")}) {
      const FreedMemory freed(secret);
      std::string line;
      {
        const Key key("a", secret);
        line = key.line();
      }
      const bool alive = line.find(lmtpq::base64(secret)) != std::string::npos;
      CPPUNIT_ASSERT(alive);
      CPPUNIT_ASSERT_EQUAL(0, freed.holding_it());
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(KeyringTest);

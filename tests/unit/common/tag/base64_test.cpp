#include "common/tag/base64.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::base64;
using lmtpq::base64url;
using lmtpq::from_base64;

namespace {

// RFC 4648 section 10, and encodings with the last two letters of the alphabet, which are missing
// there.
const struct {
  std::string_view bytes;
  const char* text;
  const char* url;
} kVectors[] = {{"", "", ""},
                {"f", "Zg==", "Zg"},
                {"fo", "Zm8=", "Zm8"},
                {"foo", "Zm9v", "Zm9v"},
                {"foob", "Zm9vYg==", "Zm9vYg"},
                {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                {{"\0", 1}, "AA==", "AA"},
                {{"\0\0\0", 3}, "AAAA", "AAAA"},
                {"\xff\xff\xff", "////", "____"},
                {"\xfb\xef\xbe", "++++", "----"},
                {"\xff\xef\xff\xfe", "/+///g==", "_-___g"}};

}  // namespace

class Base64Test : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(Base64Test);
  CPPUNIT_TEST(encodesTheVectorsOfTheRfc);
  CPPUNIT_TEST(everyByteAndLengthIsRestored);
  CPPUNIT_TEST(textThatIsNotAnExactEncodingIsRefused);
  CPPUNIT_TEST(noChangedEncodingDecodesToTheSameBytes);
  CPPUNIT_TEST_SUITE_END();

  void encodesTheVectorsOfTheRfc() {
    for (const auto& row : kVectors) {
      CPPUNIT_ASSERT_EQUAL(std::string(row.text), base64(row.bytes));
      CPPUNIT_ASSERT_EQUAL(std::string(row.url), base64url(row.bytes));
      const auto decoded = from_base64(row.text);
      CPPUNIT_ASSERT_MESSAGE(row.text, decoded.has_value());
      CPPUNIT_ASSERT_EQUAL(std::string(row.bytes), *decoded);
    }
  }

  void everyByteAndLengthIsRestored() {
    std::string bytes;
    for (int byte = 255; byte >= -255; --byte) {
      bytes += static_cast<char>(byte);
      const std::string text = base64(bytes);
      CPPUNIT_ASSERT_EQUAL((bytes.size() + 2) / 3 * 4, text.size());
      CPPUNIT_ASSERT_EQUAL(bytes, from_base64(text).value());
      CPPUNIT_ASSERT_EQUAL((bytes.size() * 8 + 5) / 6, base64url(bytes).size());
      CPPUNIT_ASSERT(base64url(bytes).find_first_of("=+/") == std::string::npos);
    }
    const std::string large(100'000, '\x5a');
    CPPUNIT_ASSERT(from_base64(base64(large)) == large);
  }

  void textThatIsNotAnExactEncodingIsRefused() {
    const std::string_view refused[] = {"Z",
                                        "Zg",
                                        "Zg=",
                                        "Zg===",
                                        "Zg==\n",
                                        "Zg==\r\n",
                                        " Zg==",
                                        "Zg== ",
                                        "\tZg==",
                                        "Z g==",
                                        "Zm9v ",
                                        " Zm9v",
                                        "\nZm9v",
                                        "Zm9v\n",
                                        "Zm\n9v",
                                        "Zm9vZ",
                                        "Zm9vZg",
                                        "Zm8",
                                        "Zm9v=",
                                        "Zm9v==",
                                        "Zm9v====",
                                        "=",
                                        "==",
                                        "===",
                                        "====",
                                        "=Zg=",
                                        "Z=g=",
                                        "Zg=v",
                                        "Zg==Zg==",
                                        "Zm8=Zm8=",
                                        "A===",
                                        "====AAAA",
                                        // bits after the last byte (section 3.5)
                                        "Zh==",
                                        "Zn==",
                                        "Zv==",
                                        "Zm9=",
                                        "Zm+=",
                                        "Zm//==",
                                        // another alphabet, and none
                                        "____",
                                        "----",
                                        "Zm9-",
                                        "Zm9_",
                                        "Zm9.",
                                        "Zm9,",
                                        "-",
                                        "Zm9v-",
                                        "Zm9v----",
                                        "\xc3\xa9==",
                                        {"Zm9v\0", 5},
                                        {"Zm9\0", 4},
                                        {"\0\0\0\0", 4},
                                        {"Zg==\0\0\0\0", 8},
                                        "    ",
                                        "\n\n\n\n",
                                        "\r\n\r\n"};
    for (const std::string_view text : refused) {
      CPPUNIT_ASSERT_MESSAGE(std::string(text), !from_base64(text));
    }
  }

  void noChangedEncodingDecodesToTheSameBytes() {
    for (const std::string text : {"Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"}) {
      const std::string bytes = from_base64(text).value();
      for (std::size_t at = 0; at <= text.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
          std::string longer = text;
          longer.insert(at, 1, static_cast<char>(byte));
          CPPUNIT_ASSERT_MESSAGE(longer, from_base64(longer) != bytes);
          std::string edited = text;
          edited.replace(at, 1, 1, static_cast<char>(byte));
          CPPUNIT_ASSERT_MESSAGE(edited, edited == text || from_base64(edited) != bytes);
        }
      }
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(Base64Test);

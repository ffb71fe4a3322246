#include "mailer/message/tag_validation.h"

#include <cppunit/extensions/HelperMacros.h>

#include "common/tag/key_file.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;
constexpr const char* kMessage =
    "Received: by mx id Q1; d\r\nMessage-ID: <m1@x>\r\nMessage-ID: <m2@x>\r\n\r\nbody\r\n";

std::string field(const Keyring& keys, const char* trace, std::int64_t expiry = kNow + 60,
                  const char* message_id = "<m1@x>", const char* queue_id = "Q1") {
  TagClaims claims;
  claims.trace = TraceId::parse(trace).value();
  claims.quota = QuotaScope::kEverybody;
  claims.expiry = expiry;
  claims.message_id = message_id;
  claims.queue_id = queue_id;
  std::string value = sign_tag(claims, keys.signer());
  for (std::size_t at = 0; (at = value.find('\n', at)) != std::string::npos; at += 2) {
    value.insert(at, 1, '\r');
  }
  return "X-LMTPQ-Tag: " + value + "\r\n";
}

}  // namespace

class TagValidationTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TagValidationTest);
  CPPUNIT_TEST(theOnlyValidTagCounts);
  CPPUNIT_TEST(aRejectedTagHasItsReason);
  CPPUNIT_TEST(twoValidTagsAreBothRejected);
  CPPUNIT_TEST(ifThereAreTooManyTagsNoneIsValid);
  CPPUNIT_TEST(aMessageIdBeyondTheHeadIsNotFound);
  CPPUNIT_TEST_SUITE_END();

  const Keyring keys_ = parse_keys("k1 AAAAAAAAAAAAAAAAAAAAAA==\n", "keys");
  const Keyring others_ = parse_keys("k2 BBBBBBBBBBBBBBBBBBBBBA==\n", "keys");

  TagVerdict judge(const std::string& message, const char* queue_id = "Q1") const {
    MailData data("/nowhere", std::nullopt);
    data.append(message);
    data.finish();
    return judge_tags(data, TraceId::parse(queue_id).value_or(TraceId()), keys_, kNow);
  }

  static std::string faults(const TagVerdict& verdict) {
    std::string all = verdict.valid ? "valid " + verdict.valid->trace().text() : "none";
    for (const RejectedTag& tag : verdict.rejected) {
      all += std::string(", ") + kTagFaultNames[static_cast<int>(tag.fault)] + " (" + tag.key + ")";
    }
    return all;
  }

  static void check(const std::string& expected, const TagVerdict& verdict) {
    CPPUNIT_ASSERT_EQUAL(expected, faults(verdict));
  }

  void theOnlyValidTagCounts() {
    check("none", judge(kMessage));
    check("valid t1", judge(field(keys_, "t1") + kMessage));
    check("valid t1, unknown key (k2)",
          judge(field(others_, "t2") + field(keys_, "t1") + kMessage));
    check("valid t1, malformed ()", judge(field(keys_, "t1") + "X-LMTPQ-Tag: x\r\n" + kMessage));
  }

  void aRejectedTagHasItsReason() {
    check("none, expired (k1)", judge(field(keys_, "t1", kNow - 1) + kMessage));
    check("valid t1", judge(field(keys_, "t1", kNow) + kMessage));
    check("none, wrong message (k1)", judge(field(keys_, "t1", kNow, "<m2@x>") + kMessage));
    check("none, wrong message (k1)", judge(field(keys_, "t1") + kMessage, "Q2"));
    check("none, wrong message (k1)", judge(field(keys_, "t1") + kMessage, ""));
    std::string edited = field(keys_, "t1");
    edited.replace(edited.find("t=t1"), 4, "t=t2");
    check("none, bad mac (k1)", judge(edited + kMessage));
  }

  void twoValidTagsAreBothRejected() {
    check("none, two tags (k1), two tags (k1)",
          judge(field(keys_, "t1") + field(keys_, "t2") + kMessage));
    check("none, two tags (k1), two tags (k1)",
          judge(field(keys_, "t1") + field(keys_, "t1") + kMessage));
  }

  void ifThereAreTooManyTagsNoneIsValid() {
    std::string text = field(keys_, "t1");
    for (std::size_t i = 1; i < TagFilter::kMaxTags; ++i) {
      text += "X-LMTPQ-Tag: x\r\n";
    }
    CPPUNIT_ASSERT(judge(text + kMessage).valid.has_value());
    const TagVerdict over = judge(text + "X-LMTPQ-Tag: x\r\n" + kMessage);
    CPPUNIT_ASSERT(!over.valid);
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, over.unread);
    CPPUNIT_ASSERT_EQUAL(TagFilter::kMaxTags, over.rejected.size());
  }

  void aMessageIdBeyondTheHeadIsNotFound() {
    std::string long_header;
    while (long_header.size() < MessageSpool::kHead) {
      long_header += "X-Long: " + std::string(900, 'x') + "\r\n";
    }
    check("none, wrong message (k1)", judge(field(keys_, "t1") + long_header + kMessage));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TagValidationTest);

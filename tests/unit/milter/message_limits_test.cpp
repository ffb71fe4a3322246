#include "common/mailbox.h"
#include "tests/unit/milter/message_scene.h"

using namespace lmtpq;
using namespace lmtpq::milter;

class MessageLimitsTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MessageLimitsTest);
  CPPUNIT_TEST(withMoreRecipientsThanAreKeptTheScopeIsNotEverybody);
  CPPUNIT_TEST(aRecipientLongerThanAnyMailboxIsNotKept);
  CPPUNIT_TEST(theAddressesOfAMessageHaveALimitTogether);
  CPPUNIT_TEST(aListIsAtMostAsLongAsTheMailerReads);
  CPPUNIT_TEST(aFieldOverTheLimitOpensNoQuota);
  CPPUNIT_TEST(fieldsThatNoRuleNeedsAreNotKept);
  CPPUNIT_TEST_SUITE_END();

  void withMoreRecipientsThanAreKeptTheScopeIsNotEverybody() {
    const auto configuration = shared(configuration_of("[rule.all]\nfrom = *\nquota = ignore\n"));
    Message message(configuration, mail());
    for (std::size_t i = 0; i < Message::kMaxRecipients; ++i) {
      message.take_recipient(to("u" + std::to_string(i) + "@x"));
    }
    CPPUNIT_ASSERT(message.judge(nullptr, {}).scope == QuotaScope::kEverybody);
    message.take_recipient(to("last@x"));
    CPPUNIT_ASSERT(message.judge(nullptr, {}).scope == QuotaScope::kListed);
    CPPUNIT_ASSERT_EQUAL(Message::kMaxRecipients, message.facts().recipients.size());
    Bench bench(configuration);
    FakeHeaderEdits edits;
    CPPUNIT_ASSERT(decide(message, bench, edits));
    CPPUNIT_ASSERT(bench.logged("rcpts=20001"));
    CPPUNIT_ASSERT(bench.logged("rcpts-beyond-limit=19001"));
  }

  void aRecipientLongerThanAnyMailboxIsNotKept() {
    // A rule honours the quota of the whole name, and would not match a part of it.
    const auto configuration =
        shared(configuration_of("[rule.no]\nrcpt = *@secret\nquota = honour\n"
                                "[rule.all]\nfrom = *\nquota = ignore\n"));
    Message message(configuration, mail());
    message.take_recipient(to("bob@x"));
    message.take_recipient(to(std::string(2000, 'a') + "@secret"));
    CPPUNIT_ASSERT_EQUAL(std::size_t{1}, message.facts().recipients.size());
    CPPUNIT_ASSERT(message.judge(nullptr, {}).scope == QuotaScope::kListed);
    const std::string longest(Mailbox::kMaxLength, 'a');
    for (std::string RecipientFacts::*const part :
         {&RecipientFacts::given, &RecipientFacts::resolved, &RecipientFacts::mailer}) {
      RecipientFacts recipient{"u@x", "u", "cyrusv2"};
      const std::size_t before = message.facts().recipients.size();
      recipient.*part = longest + "a";
      message.take_recipient(recipient);
      CPPUNIT_ASSERT_EQUAL(before, message.facts().recipients.size());
      recipient.*part = longest;
      message.take_recipient(recipient);
      CPPUNIT_ASSERT_EQUAL(before + 1, message.facts().recipients.size());
    }
  }

  void theAddressesOfAMessageHaveALimitTogether() {
    const auto configuration = shared(configuration_of("[rule.all]\nfrom = *\nquota = ignore\n"));
    Message message(configuration, mail());
    for (int i = 0; i < 5000; ++i) {
      message.take_recipient(to(std::string(1000, 'a') + "@x"));
    }
    std::size_t bytes = 0;
    for (const RecipientFacts& recipient : message.facts().recipients) {
      bytes += recipient.given.size() + recipient.resolved.size() + recipient.mailer.size();
    }
    CPPUNIT_ASSERT(bytes <= Message::kMaxAddresses && bytes > Message::kMaxAddresses / 2);
    CPPUNIT_ASSERT(message.judge(nullptr, {}).scope == QuotaScope::kListed);
    // Exactly the limit, of all three parts.
    Message full(configuration, mail());
    constexpr std::size_t kFit = Message::kMaxAddresses / 1024;
    for (std::size_t i = 0; i < kFit; ++i) {
      full.take_recipient({std::string(1000, 'a'), std::string(17, 'b'), "cyrusv2"});
    }
    CPPUNIT_ASSERT_EQUAL(kFit, full.facts().recipients.size());
    full.take_recipient({"a", "", ""});
    CPPUNIT_ASSERT_EQUAL(kFit, full.facts().recipients.size());
  }

  void aListIsAtMostAsLongAsTheMailerReads() {
    const auto configuration = shared(configuration_of(kTrusted));
    Scene scene(configuration, mail("198.51.100.1"));
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@x"));
    for (std::size_t i = 0; i < kMaxListed + 5; ++i) {
      message.take_recipient(to("carol@" + std::to_string(i)));
    }
    CPPUNIT_ASSERT(decide(message, bench, edits));
    const auto tag = verified(edits, *configuration, "");
    CPPUNIT_ASSERT(std::get<Tag>(tag).ignores_quota("carol@" + std::to_string(kMaxListed - 1)));
    CPPUNIT_ASSERT(!std::get<Tag>(tag).ignores_quota("carol@" + std::to_string(kMaxListed)));
    CPPUNIT_ASSERT(bench.logged("rcpts-beyond-limit=5 "));
  }

  void aFieldOverTheLimitOpensNoQuota() {
    // The rule that honours the quota needs the field that was dropped.
    const auto configuration =
        shared(configuration_of("[rule.spam]\nheader X-Spam = yes*\nquota = honour\n"
                                "[rule.all]\nfrom = *\nquota = ignore\n"));
    const struct {
      int fields;
      std::size_t length;
      QuotaScope scope;
    } cases[] = {{1, Message::kMaxField, QuotaScope::kNobody},
                 {1, Message::kMaxField - 6, QuotaScope::kEverybody},
                 {1, Message::kMaxField - 5, QuotaScope::kNobody},
                 {32, Message::kMaxField - 6, QuotaScope::kEverybody},
                 {33, Message::kMaxField - 6, QuotaScope::kNobody},
                 {260, 1000, QuotaScope::kEverybody},
                 {300, 1000, QuotaScope::kNobody}};
    for (const auto& one : cases) {
      Scene scene(configuration);
      auto& [bench, edits, message] = scene;
      message.take_recipient(to("bob@x"));
      for (int i = 0; i < one.fields; ++i) {
        message.take_field("X-Spam", std::string(one.length, 'n'));
      }
      CPPUNIT_ASSERT(message.incomplete() == (one.scope == QuotaScope::kNobody));
      CPPUNIT_ASSERT(decide(message, bench, edits));
      CPPUNIT_ASSERT(scope_of(verified(edits, *configuration, "")) == one.scope);
      CPPUNIT_ASSERT(bench.logged("too much header") == message.incomplete());
    }
  }

  void fieldsThatNoRuleNeedsAreNotKept() {
    const auto configuration = shared(configuration_of(kTrusted));
    Message message(configuration, mail());
    for (int i = 0; i < 1000; ++i) {
      message.take_field("Received", std::string(1000, 'x'));
    }
    CPPUNIT_ASSERT(message.facts().headers.empty());
    CPPUNIT_ASSERT(!message.incomplete());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MessageLimitsTest);

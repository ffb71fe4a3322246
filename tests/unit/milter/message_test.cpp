#include "tests/unit/milter/message_scene.h"

using namespace lmtpq;
using namespace lmtpq::milter;

class MessageTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(MessageTest);
  CPPUNIT_TEST(theTagHasTheDecisionOfTheRules);
  CPPUNIT_TEST(aDecisionForSomeRecipientsListsOnlyThem);
  CPPUNIT_TEST(withoutAMatchTheTagCarriesTheTraceOnly);
  CPPUNIT_TEST(tagsFromOutsideAreRemovedAndTheNewOneIsFirst);
  CPPUNIT_TEST(tagsAreDeletedFromTheLastToTheFirst);
  CPPUNIT_TEST(aFieldWhoseNameOnlyBeginsLikeTheTagStays);
  CPPUNIT_TEST(oldTagsAreRemovedEvenIfNoneIsWritten);
  CPPUNIT_TEST(theFirstMessageIdCounts);
  CPPUNIT_TEST(withoutAMessageIdTheTagIsBoundToTheQueueId);
  CPPUNIT_TEST(withoutAnIdToBindToThereIsNoTag);
  CPPUNIT_TEST(withoutBindingTheQueueIdIsNotInTheTag);
  CPPUNIT_TEST(aQueueIdThatArrivesLateIsUsed);
  CPPUNIT_TEST(aTagIsValidForItsLifetime);
  CPPUNIT_TEST(recipientsOfOtherMailersGetNoTag);
  CPPUNIT_TEST(aQuotedTwinIsJudgedAsItsPlainForm);
  CPPUNIT_TEST(anAmbiguousAddressOpensNoQuota);
  CPPUNIT_TEST(aFoldedFieldIsOneLine);
  CPPUNIT_TEST(theSizeAtTheEndOverridesTheDeclaredOne);
  CPPUNIT_TEST(aTagThatCannotBeRemovedIsAFailureEvenIfNoneIsWritten);
  CPPUNIT_TEST(aMessageKeepsTheConfigurationWithWhichItBegan);
  CPPUNIT_TEST(claimsListARecipientUnderBothNames);
  CPPUNIT_TEST_SUITE_END();

  void anAmbiguousAddressOpensNoQuota() {
    const auto configuration =
        shared(configuration_of("[rule.all]\nclient = 192.0.2.9\nfrom = *\nquota = ignore\n"));
    for (const char* odd :
         {"<victim@store.test>@elsewhere.test", "<ops+<victim@store.test>@store.test>",
          "ops<victim@store.test>", "<victim%store.test@elsewhere.test>",
          "<store.test!victim@elsewhere.test>", "<\"victim@store.test\"@elsewhere.test>",
          "\"<victim@store.test>\"@elsewhere.test", "<@elsewhere.test:victim@store.test>",
          "<victim(x)@store.test>", "<victim@store.test>junk", "<victim@store.test, x@y>",
          "<victim @store.test>", "<\"v ictim\"@store.test>", "<group:victim@store.test;>"}) {
      Message to_odd(configuration, mail());
      to_odd.take_recipient({odd, "victim", "cyrusv2"});
      to_odd.take_recipient({"<plain@store.test>", "plain", "cyrusv2"});
      const Verdict verdict = to_odd.judge(nullptr, {});
      CPPUNIT_ASSERT_MESSAGE(odd, verdict.recipients.at(0).why == Why::kAmbiguousAddress);
      CPPUNIT_ASSERT_MESSAGE(odd, verdict.scope == QuotaScope::kListed);
      MessageFacts facts = mail();
      facts.sender = odd;
      Message from_odd(configuration, facts);
      from_odd.take_recipient({"<plain@store.test>", "plain", "cyrusv2"});
      CPPUNIT_ASSERT_MESSAGE(odd, from_odd.judge(nullptr, {}).scope == QuotaScope::kNobody);
    }
    for (const char* plain : {"<a@b>", "a@b", "<a>", "<>", "", "<a+b=c-d_e.f@example.org>",
                              "<\"a.b\"@example.org>", "<a@[192.0.2.1]>", "<#x@example.org>",
                              "<prvs=123=a@b.example>", "<SRS0=x=y=z=a@b.example>"}) {
      MessageFacts facts = mail();
      facts.sender = plain;
      Message message(configuration, facts);
      message.take_recipient({"<plain@store.test>", "plain", "cyrusv2"});
      CPPUNIT_ASSERT_MESSAGE(plain, message.judge(nullptr, {}).scope == QuotaScope::kEverybody);
    }
  }

  void aQuotedTwinIsJudgedAsItsPlainForm() {
    const Configuration configuration = configuration_of(
        "[rule.boss]\nrcpt = boss@example.org\nquota = honour\n"
        "[rule.lists]\nfrom = spam@*\nquota = honour\n"
        "[rule.us]\nclient = 192.0.2.9\nquota = ignore\n");
    for (const char* twin : {"boss@example.org", "\"boss\"@example.org", "\"b\\oss\"@Example.ORG",
                             "<boss@example.org>", "BOSS@example.org"}) {
      Message message(shared(configuration_of("")), mail());
      message.take_recipient(to(twin));
      const Verdict verdict =
          configuration.policy.decide(message.facts(), nullptr, Limiter::Time());
      CPPUNIT_ASSERT_MESSAGE(twin, verdict.recipients.at(0).quota == Quota::kHonour);
    }
    MessageFacts facts = mail();
    facts.sender = "\"spam\"@example.org";
    facts.recipients.push_back(to("alice@example.org"));
    CPPUNIT_ASSERT(configuration.policy.decide(facts, nullptr, {}).scope == QuotaScope::kNobody);
  }

  void theTagHasTheDecisionOfTheRules() {
    const auto configuration = shared(configuration_of(kTrusted));
    Scene scene(configuration);
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@example.org"));
    feed(message, edits, "Message-ID", "<a@b>");
    feed(message, edits, "x-notice", " yes, please");
    CPPUNIT_ASSERT(decide(message, bench, edits));
    const auto tag = verified(edits, *configuration);
    CPPUNIT_ASSERT(scope_of(tag) == QuotaScope::kEverybody);
    CPPUNIT_ASSERT(std::get<Tag>(tag).trace().text().starts_with("4AL93Qxa012345-"));
    CPPUNIT_ASSERT_EQUAL(std::string(kTagName), edits.fields[0].name);
  }

  void aDecisionForSomeRecipientsListsOnlyThem() {
    const auto configuration = shared(configuration_of(kTrusted));
    Scene scene(configuration);
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@example.org"));
    message.take_recipient(to("Carol@example.org"));
    feed(message, edits, "Message-ID", "<a@b>");
    CPPUNIT_ASSERT(decide(message, bench, edits));
    const auto tag = verified(edits, *configuration);
    CPPUNIT_ASSERT(scope_of(tag) == QuotaScope::kListed);
    CPPUNIT_ASSERT(std::get<Tag>(tag).ignores_quota("carol@example.org"));
    CPPUNIT_ASSERT(std::get<Tag>(tag).ignores_quota("carol"));
    CPPUNIT_ASSERT(!std::get<Tag>(tag).ignores_quota("bob@example.org"));
    CPPUNIT_ASSERT(!std::get<Tag>(tag).ignores_quota("bob"));
    CPPUNIT_ASSERT(bench.logged("quota=mixed"));
  }

  void withoutAMatchTheTagCarriesTheTraceOnly() {
    const auto configuration = shared(configuration_of(kTrusted));
    Scene scene(configuration, mail("198.51.100.1"));
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@example.org"));
    feed(message, edits, "Message-ID", "<a@b>");
    feed(message, edits, "X-Notice", "yes");
    CPPUNIT_ASSERT(decide(message, bench, edits));
    CPPUNIT_ASSERT(scope_of(verified(edits, *configuration)) == QuotaScope::kNobody);
    CPPUNIT_ASSERT(bench.logged("quota=honour reason=\"no rule\" tagged=yes"));
  }

  void tagsFromOutsideAreRemovedAndTheNewOneIsFirst() {
    for (const bool shifts : {false, true}) {
      for (const int count : {1, 2, 8}) {
        const auto configuration = shared(configuration_of(kTrusted));
        Bench bench(configuration);
        FakeHeaderEdits edits;
        edits.shifts = shifts;
        Message message(configuration, mail());
        message.take_recipient(to("bob@example.org"));
        feed(message, edits, "Message-ID", "<a@b>");
        const char* const names[] = {"X-LMTPQ-Tag", "x-lmtpq-tag", "X-LMTPQ-TAG", "X-Lmtpq-Tag"};
        for (int i = 0; i < count; ++i) {
          feed(message, edits, names[i % 4], " v=1; k=k1;\n\tt=forged");
          feed(message, edits, "Received", "by x");
        }
        CPPUNIT_ASSERT(decide(message, bench, edits));
        verified(edits, *configuration);
        CPPUNIT_ASSERT_EQUAL(static_cast<std::size_t>(count), edits.values("Received").size());
        CPPUNIT_ASSERT(bench.logged("event=old-tags-removed"));
        CPPUNIT_ASSERT(bench.logged("old-tags=" + std::to_string(count) + '\n'));
      }
    }
  }

  void tagsAreDeletedFromTheLastToTheFirst() {
    const auto configuration = shared(configuration_of(kTrusted));
    Scene scene(configuration);
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@example.org"));
    for (const char* name : {"X-LMTPQ-Tag", "X-LMTPQ-Tag ", "x-lmtpq-tag\t"}) {
      feed(message, edits, name, "v=1");
    }
    decide(message, bench, edits);
    const std::vector<std::string> expected = {"delete X-LMTPQ-Tag 3", "delete X-LMTPQ-Tag 2",
                                               "delete X-LMTPQ-Tag 1", "insert X-LMTPQ-Tag"};
    CPPUNIT_ASSERT(expected == edits.calls);
  }

  void aFieldWhoseNameOnlyBeginsLikeTheTagStays() {
    const auto configuration = shared(configuration_of(kTrusted));
    Scene scene(configuration);
    auto& [bench, edits, message] = scene;
    for (const char* name : {"X-LMTPQ-Tags", "X-LMTPQ", "LMTPQ-Tag", "X-LMTPQ-T\xc3\xa0g", ""}) {
      feed(message, edits, name, "v=1");
    }
    decide(message, bench, edits);
    CPPUNIT_ASSERT(edits.calls.empty());
  }

  void oldTagsAreRemovedEvenIfNoneIsWritten() {
    Configuration without = configuration_of(kTrusted);
    without.keys = Keyring();
    const auto configuration = shared(std::move(without));
    Scene scene(configuration);
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@example.org"));
    feed(message, edits, "X-LMTPQ-Tag", "v=1");
    CPPUNIT_ASSERT(decide(message, bench, edits));
    CPPUNIT_ASSERT(edits.values("X-LMTPQ-Tag").empty());
    CPPUNIT_ASSERT(bench.logged("tagged=no no-tag=\"no keys\""));
  }

  void theFirstMessageIdCounts() {
    const auto configuration = shared(configuration_of(kTrusted));
    const struct {
      std::vector<const char*> ids;
      std::string bound_to;
    } cases[] = {
        {{"<a@b>", "<c@d>"}, "<a@b>"}, {{"", "<c@d>"}, ""}, {{"\n <a@b>\n\t"}, "<a@b>"}, {{}, ""}};
    for (const auto& one : cases) {
      Scene scene(configuration);
      auto& [bench, edits, message] = scene;
      message.take_recipient(to("bob@example.org"));
      for (const char* id : one.ids) {
        feed(message, edits, "message-id", id);
      }
      CPPUNIT_ASSERT_EQUAL(one.bound_to, message.facts().message_id);
      CPPUNIT_ASSERT(decide(message, bench, edits));
      scope_of(verified(edits, *configuration, one.bound_to));
    }
  }

  void withoutAMessageIdTheTagIsBoundToTheQueueId() {
    const auto configuration = shared(configuration_of(kTrusted));
    Scene scene(configuration);
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@example.org"));
    CPPUNIT_ASSERT(decide(message, bench, edits));
    scope_of(verified(edits, *configuration, ""));
    // Sendmail may add a Message-ID after the milter.
    scope_of(verified(edits, *configuration, "<made@here>"));
    const auto elsewhere = verified(edits, *configuration, "", "4AL93Qxa999999");
    CPPUNIT_ASSERT(std::get<TagFault>(elsewhere) == TagFault::kWrongMessage);
  }

  void withoutAnIdToBindToThereIsNoTag() {
    for (const bool bind : {true, false}) {
      Configuration made = configuration_of(kTrusted);
      made.bind_queue_id = bind;
      const auto configuration = shared(std::move(made));
      Bench bench(configuration);
      FakeHeaderEdits edits;
      MessageFacts facts = mail();
      if (bind) {
        facts.queue_id.clear();
      }
      Message message(configuration, facts);
      message.take_recipient(to("bob@example.org"));
      CPPUNIT_ASSERT(decide(message, bench, edits));
      CPPUNIT_ASSERT(edits.calls.empty());
      CPPUNIT_ASSERT(bench.logged(bind ? "no-tag=\"no queue id\"" : "no-tag=\"no Message-ID\""));
    }
  }

  void withoutBindingTheQueueIdIsNotInTheTag() {
    Configuration made = configuration_of(kTrusted);
    made.bind_queue_id = false;
    const auto configuration = shared(std::move(made));
    Scene scene(configuration);
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@example.org"));
    feed(message, edits, "Message-ID", "<a@b>");
    CPPUNIT_ASSERT(decide(message, bench, edits));
    scope_of(verified(edits, *configuration, "<a@b>", "another"));
    CPPUNIT_ASSERT(edits.values("X-LMTPQ-Tag")[0].find("i=") == std::string::npos);
  }

  void aQueueIdThatArrivesLateIsUsed() {
    const auto configuration = shared(configuration_of(kTrusted));
    MessageFacts facts = mail();
    facts.queue_id.clear();
    Message message(configuration, facts);
    message.take_queue_id("LATE1");
    message.take_queue_id("");
    CPPUNIT_ASSERT_EQUAL(std::string("LATE1"), message.facts().queue_id);
  }

  void aTagIsValidForItsLifetime() {
    const auto configuration = shared(configuration_of(kTrusted));
    Scene scene(configuration);
    auto& [bench, edits, message] = scene;
    message.take_recipient(to("bob@example.org"));
    CPPUNIT_ASSERT(decide(message, bench, edits));
    scope_of(verified(edits, *configuration, "", "4AL93Qxa012345", kNow + 3600));
    const auto late = verified(edits, *configuration, "", "4AL93Qxa012345", kNow + 3601);
    CPPUNIT_ASSERT(std::get<TagFault>(late) == TagFault::kExpired);
  }

  void recipientsOfOtherMailersGetNoTag() {
    const auto configuration = shared(configuration_of(kTrusted));
    for (const char* mailer : {"esmtp", "local", ""}) {
      Scene scene(configuration);
      auto& [bench, edits, message] = scene;
      message.take_recipient(to("carol@example.org", mailer));
      feed(message, edits, "Message-ID", "<a@b>");
      feed(message, edits, "X-LMTPQ-Tag", "v=1");
      CPPUNIT_ASSERT(decide(message, bench, edits));
      CPPUNIT_ASSERT(edits.values("X-LMTPQ-Tag").empty());
      CPPUNIT_ASSERT(bench.logged("reason=\"other mailer\" tagged=no"));
    }
  }

  void aFoldedFieldIsOneLine() {
    Configuration made = configuration_of(kTrusted);
    made.trace = TraceOrigin({"X-Trace"}, {{}, true});
    Message message(shared(std::move(made)), mail());
    message.take_field("X-Notice", "yes,\n\tplease");
    message.take_field("x-trace", " abc\r\n ");
    const auto& headers = message.facts().headers;
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, headers.size());
    CPPUNIT_ASSERT_EQUAL(std::string("yes,\tplease"), headers[0].value);
    CPPUNIT_ASSERT_EQUAL(std::string("abc"), headers[1].value);
  }

  void theSizeAtTheEndOverridesTheDeclaredOne() {
    const auto configuration = shared(configuration_of(kTrusted));
    MessageFacts facts = mail();
    facts.size = 10;
    Message message(configuration, facts);
    message.take_size(std::nullopt);
    CPPUNIT_ASSERT(message.facts().size == 10);
    message.take_size(70'000);
    CPPUNIT_ASSERT(message.facts().size == 70'000);
  }

  void aTagThatCannotBeRemovedIsAFailureEvenIfNoneIsWritten() {
    Configuration without = configuration_of(kTrusted);
    without.keys = Keyring();
    const auto configuration = shared(std::move(without));
    Bench bench(configuration);
    FakeHeaderEdits edits;
    edits.takes = 0;
    Message message(configuration, mail());
    feed(message, edits, "X-LMTPQ-Tag", "v=1");
    CPPUNIT_ASSERT(!decide(message, bench, edits));
  }

  void aMessageKeepsTheConfigurationWithWhichItBegan() {
    const auto before = shared(configuration_of("[rule.all]\nfrom = *\nquota = ignore\n"));
    Bench bench(before);
    FakeHeaderEdits edits;
    Message message(bench.state.configuration(), mail());
    message.take_recipient(to("bob@x"));
    bench.state.replace(shared(configuration_of("[rule.none]\nfrom = *\nquota = honour\n")));
    CPPUNIT_ASSERT(decide(message, bench, edits));
    CPPUNIT_ASSERT(bench.logged("rule=all quota=ignore"));
    CPPUNIT_ASSERT(bench.state.configuration()->policy.rules()[0].name == "none");
  }

  void claimsListARecipientUnderBothNames() {
    const Configuration configuration = configuration_of(kTrusted);
    MessageFacts facts = mail();
    facts.message_id = "<a@b>";
    facts.recipients = {{"info@x", "carol", "cyrusv2"}, {"bob@x", "", "cyrusv2"}};
    Verdict verdict;
    verdict.scope = QuotaScope::kListed;
    verdict.tagged = true;
    verdict.recipients = {{Quota::kIgnore, Why::kRule, nullptr}, {Quota::kIgnore, Why::kRule, {}}};
    const TraceId trace = *TraceId::parse("t1");
    TagClaims claims = claims_for(configuration, facts, verdict, trace, kNow);
    CPPUNIT_ASSERT_EQUAL(std::size_t{2}, claims.listed.size());
    CPPUNIT_ASSERT_EQUAL(std::string("info@x"), claims.listed[0].given);
    CPPUNIT_ASSERT_EQUAL(std::string("carol"), claims.listed[0].resolved);
    CPPUNIT_ASSERT_EQUAL(std::string("bob@x"), claims.listed[1].resolved);
    CPPUNIT_ASSERT(claims.trace == trace);
    CPPUNIT_ASSERT_EQUAL(kNow + 3600, claims.expiry);
    CPPUNIT_ASSERT_EQUAL(std::string("<a@b>"), claims.message_id);
    CPPUNIT_ASSERT_EQUAL(std::string("4AL93Qxa012345"), claims.queue_id);
    verdict.scope = QuotaScope::kEverybody;
    CPPUNIT_ASSERT(claims_for(configuration, facts, verdict, trace, kNow).listed.empty());
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(MessageTest);

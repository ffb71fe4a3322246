#include "milter/explain.h"

#include <cppunit/extensions/HelperMacros.h>

#include <sstream>
#include <variant>

#include "common/tag/key_file.h"
#include "milter/message.h"
#include "milter/policy/rule_parser.h"

using namespace lmtpq;
using namespace lmtpq::milter;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;
constexpr const char* kKeys = "k1 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";
constexpr const char* kRules =
    "[rule.bulk]\nfrom = bulk@*\nquota = honour\n"
    "[rule.notices]\nclient = 192.0.2.0/24\nheader X-Notice = yes*\nlimit = 5/hour\n"
    "quota = ignore\n"
    "[rule.carol]\nrcpt = carol@*\nquota = ignore\n";
constexpr const char* kMessage = "Message-ID: <a@b>\nX-Notice: yes,\n sir\n\nX-Notice: no\n";

Configuration configuration_of(const std::string& rules = kRules) {
  OptionReader options({}, {{"rule.", rule_keys()}});
  options.take_text(rules, "test");
  Configuration made;
  made.policy = Policy(parse_rules(options.free_sections()), {"cyrusv2q"});
  made.keys = parse_keys(kKeys, "test");
  made.trace = TraceOrigin({"X-Trace"}, {{*Network::parse("192.0.2.9")}, false});
  made.tag_lifetime = std::chrono::hours(1);
  return made;
}

LoadedConfiguration asked(Configuration configuration = configuration_of()) {
  LoadedConfiguration loaded;
  loaded.configuration = std::make_shared<const Configuration>(std::move(configuration));
  loaded.settings.tag_mailers = {"cyrusv2q"};
  loaded.settings.client = "192.0.2.9";
  loaded.settings.sender = "<notice@example.org>";
  loaded.settings.recipients = "bob@example.org";
  return loaded;
}

std::string told(const LoadedConfiguration& loaded, const std::string& message = kMessage) {
  std::istringstream in(message);
  std::ostringstream out;
  explain(loaded, in, out, kNow);
  return out.str();
}

void assert_says(const std::string& text, const std::string& words) {
  CPPUNIT_ASSERT_MESSAGE("not there: " + words + "\nin: " + text,
                         text.find(words) != std::string::npos);
}

// The tag at the end of the text.
std::string tag_in(const std::string& text) {
  const std::size_t begin = text.find("\nX-LMTPQ-Tag:");
  const std::size_t end = text.find("\n\n", begin + 1);
  return begin == std::string::npos ? "" : text.substr(begin + 14, end - begin - 14);
}

}  // namespace

class ExplainTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ExplainTest);
  CPPUNIT_TEST(everyRuleIsShownUpToTheOneThatDecides);
  CPPUNIT_TEST(eachRecipientHasItsOwnDecision);
  CPPUNIT_TEST(theOverQuotaPolicyIsShown);
  CPPUNIT_TEST(aMessageWithoutAMatchIsExplained);
  CPPUNIT_TEST(theTagIsTheOneThatWouldBeWritten);
  CPPUNIT_TEST(aQueueIdBindsTheTag);
  CPPUNIT_TEST(withoutKeysItSaysWhyAndContinues);
  CPPUNIT_TEST(aTraceIdFromTheMessageIsShown);
  CPPUNIT_TEST(withoutAnIdToBindToThereIsNoTag);
  CPPUNIT_TEST(tagsFromOutsideAreCounted);
  CPPUNIT_TEST(aHeaderOverTheLimitIsReported);
  CPPUNIT_TEST(withoutAClientTheMessageIsFromALocalProgram);
  CPPUNIT_TEST(theFromLineOfAMailboxFileIsSkipped);
  CPPUNIT_TEST(textFromTheMessageIsEscaped);
  CPPUNIT_TEST(theSizeIsThatOfTheWholeMessage);
  CPPUNIT_TEST(aLineThatIsNoFieldEndsTheHeader);
  CPPUNIT_TEST(aMebibyteOfHeaderIsRead);
  CPPUNIT_TEST(anAmbiguousAddressIsExplained);
  CPPUNIT_TEST(ruleNamesAreAligned);
  CPPUNIT_TEST(invalidOptionsAreRefused);
  CPPUNIT_TEST_SUITE_END();

  void everyRuleIsShownUpToTheOneThatDecides() {
    const std::string text = told(asked());
    assert_says(text,
                "bob@example.org\n"
                "  rule bulk:    no: from = bulk@*, but from is notice@example.org\n"
                "  rule notices: yes\n"
                "  => quota IGNORED, by rule notices, up to its limit of 5/hour");
    CPPUNIT_ASSERT(text.find("rule carol") == std::string::npos);
    assert_says(text, "the quota is ignored for all recipients");
  }

  void eachRecipientHasItsOwnDecision() {
    LoadedConfiguration loaded = asked();
    loaded.settings.client = "198.51.100.1";
    loaded.settings.recipients = "bob@example.org, <carol@example.org>";
    const std::string text = told(loaded);
    assert_says(text, "rule notices: no: client = 192.0.2.0/24, but client is 198.51.100.1\n");
    assert_says(text, "\ncarol@example.org\n");
    assert_says(text, "rule carol:   yes\n  => quota IGNORED, by rule carol\n");
    assert_says(text, "=> quota honoured, because no rule matches\n");
    assert_says(text, "for these recipients only");
  }

  void theOverQuotaPolicyIsShown() {
    LoadedConfiguration loaded = asked(configuration_of(
        kRules + std::string("over-quota = defer:3d\n[rule.all]\nquota = honour\nover-quota = "
                             "refuse\n")));
    loaded.settings.client = "198.51.100.1";
    loaded.settings.recipients = "bob@example.org, carol@example.org";
    const std::string text = told(loaded);
    assert_says(
        text, "=> quota honoured, by rule all\n  => where it is over quota: refuse, by rule all\n");
    assert_says(text, "=> where it is over quota: defer:3d, by rule carol\n");
    assert_says(text, "\nover quota the rules decide for some recipients");
    assert_says(text, "o=r:");
    loaded.settings.recipients = "bob@example.org";
    assert_says(told(loaded), "\nover quota the rules decide for all recipients");
    assert_says(told(loaded), "q=-; o=r; ");
    CPPUNIT_ASSERT(told(asked()).find("over quota") == std::string::npos);
  }

  void aMessageWithoutAMatchIsExplained() {
    LoadedConfiguration loaded = asked();
    loaded.settings.sender = "bulk@x";
    assert_says(told(loaded), "=> quota honoured, by rule bulk\n");
    assert_says(told(loaded), "the quota is ignored for no recipient");
    assert_says(told(asked(configuration_of(""))), "=> quota honoured, because no rule matches\n");
  }

  void theTagIsTheOneThatWouldBeWritten() {
    const LoadedConfiguration loaded = asked();
    const std::string text = told(loaded);
    assert_says(text, "signed with key k1, for queue id QUEUE-ID only");
    const std::string tag = tag_in(text);
    const auto read =
        Tag::verify(tag, loaded.configuration->keys, {"<a@b>", "QUEUE-ID"}, kNow + 3600);
    CPPUNIT_ASSERT_MESSAGE(tag, std::holds_alternative<Tag>(read));
    CPPUNIT_ASSERT(std::get<Tag>(read).quota() == QuotaScope::kEverybody);
    assert_says(text, "trace id  " + std::get<Tag>(read).trace().text() + ", for example");
  }

  void aQueueIdBindsTheTag() {
    LoadedConfiguration loaded = asked();
    loaded.settings.queue_id = "4AL93Q";
    const std::string text = told(loaded);
    const std::string tag = tag_in(text);
    const Keyring& keys = loaded.configuration->keys;
    CPPUNIT_ASSERT(std::holds_alternative<Tag>(Tag::verify(tag, keys, {"<a@b>", "4AL93Q"}, kNow)));
    CPPUNIT_ASSERT(
        std::holds_alternative<TagFault>(Tag::verify(tag, keys, {"<a@b>", "other"}, kNow)));
    assert_says(text, "trace id  4AL93Q-");
    CPPUNIT_ASSERT(text.find("QUEUE-ID") == std::string::npos);
  }

  void withoutKeysItSaysWhyAndContinues() {
    Configuration without = configuration_of();
    without.keys = Keyring();
    LoadedConfiguration loaded = asked(std::move(without));
    assert_says(told(loaded),
                "tag       none, every quota is honoured: no keys; "
                "lmtpq keygen --install\n");
    loaded.keys_error = "/k: Permission denied";
    assert_says(told(loaded), "tag       cannot be signed: /k: Permission denied\n");
    assert_says(told(loaded), "quota IGNORED");
    CPPUNIT_ASSERT_EQUAL(std::string(), tag_in(told(loaded)));
  }

  void aTraceIdFromTheMessageIsShown() {
    const std::string message = std::string("X-Trace: abc-1\n") + kMessage;
    assert_says(told(asked(), message), "trace id  abc-1, from the message\n");
    LoadedConfiguration stranger = asked();
    stranger.settings.client = "192.0.2.8";
    CPPUNIT_ASSERT(told(stranger, message).find("abc-1") == std::string::npos);
  }

  void withoutAnIdToBindToThereIsNoTag() {
    Configuration unbound = configuration_of();
    unbound.bind_queue_id = false;
    assert_says(told(asked(std::move(unbound)), "Subject: x\n\n"),
                "tag       none, every quota is honoured: no Message-ID\n");
    assert_says(told(asked(), "Subject: x\n\n"), "for queue id QUEUE-ID only");
  }

  void tagsFromOutsideAreCounted() {
    assert_says(told(asked(), std::string("X-LMTPQ-Tag: a\nx-lmtpq-tag : b\n") + kMessage),
                "its tags (2) are from outside and will be removed");
    CPPUNIT_ASSERT(told(asked()).find("outside") == std::string::npos);
  }

  void aHeaderOverTheLimitIsReported() {
    LoadedConfiguration loaded = asked();
    loaded.settings.recipients = "carol@example.org";
    assert_says(told(loaded), "IGNORED");
    const std::string text =
        told(loaded, "X-Notice: yes" + std::string(Message::kMaxField, 'x') + "\n\n");
    assert_says(text, "quota honoured, by rule carol");
    assert_says(text, "over the limit for headers: no quota is ignored");
    CPPUNIT_ASSERT(text.find("IGNORED") == std::string::npos);
  }

  void withoutAClientTheMessageIsFromALocalProgram() {
    LoadedConfiguration loaded = asked();
    loaded.settings.client.clear();
    assert_says(told(loaded), "client local");
    assert_says(told(loaded), "but client has no address");
  }

  void theFromLineOfAMailboxFileIsSkipped() {
    const std::string plain = told(asked());
    const std::string boxed = told(asked(), std::string("From a Sat Nov 21\n") + kMessage);
    // Up to the trace id, which is random.
    CPPUNIT_ASSERT_EQUAL(plain.substr(0, plain.find("trace id")),
                         boxed.substr(0, boxed.find("trace id")));
    assert_says(boxed, "Message-ID <a@b>");
  }

  void textFromTheMessageIsEscaped() {
    const std::string text = told(asked(), "Message-ID: <a\x1b[31m@b>\nX-Notice: \x07\n\n");
    CPPUNIT_ASSERT(text.find('\x1b') == std::string::npos);
    CPPUNIT_ASSERT(text.find('\x07') == std::string::npos);
    assert_says(text, "<a\\x1b[31m@b>");
  }

  // As Sendmail counts it, with one byte for a line's end.
  void theSizeIsThatOfTheWholeMessage() {
    for (const char* message :
         {"A: b\n\nbody\n", "A: b\r\n\r\nbody\r\n", "From x\nA: b\n\nbody", "A: b\n\nFrom\n"}) {
      assert_says(told(asked(), message), "          11 bytes, Message-ID -\n");
    }
    assert_says(told(asked(), "A: b\n\nFrom x\n"), " 13 bytes, ");
    assert_says(told(asked(), ""), " 0 bytes, ");
  }

  void aLineThatIsNoFieldEndsTheHeader() {
    assert_says(told(asked(), "A: b\nMessage-ID: <a@b>\n"), "Message-ID <a@b>\n");
    assert_says(told(asked(), "A: b\nno field\nMessage-ID: <a@b>\n"), "Message-ID -\n");
    assert_says(told(asked(), "A: b\n\nMessage-ID: <a@b>\n"), "Message-ID -\n");
  }

  void aMebibyteOfHeaderIsRead() {
    const std::size_t id = std::string("Message-ID: <a@b>").size();
    for (const std::size_t size : {(1U << 20) - id - 1, (1U << 20) - id}) {
      const std::string message =
          "A: " + std::string(size - 5, 'x') + "\nMessage-ID: <a@b>\n\nMessage-ID: <c@d>\n";
      assert_says(told(asked(), message),
                  size + id < 1U << 20 ? "Message-ID <a@b>\n" : "Message-ID -\n");
    }
  }

  void anAmbiguousAddressIsExplained() {
    LoadedConfiguration loaded = asked();
    loaded.settings.recipients = "bob%a@b, carol@example.org";
    const std::string text = told(loaded);
    assert_says(text,
                "\nbob%a@b\n  => quota honoured, because Sendmail may read the sender's or "
                "recipient's address differently\n\ncarol@example.org\n  rule ");
    assert_says(text, "by rule notices, up to its limit of 5/hour (not counted here)\n");
  }

  void ruleNamesAreAligned() {
    LoadedConfiguration loaded = asked();
    loaded.settings.client = "198.51.100.1";
    loaded.settings.recipients = "carol@example.org";
    assert_says(told(loaded),
                "  rule bulk:    no: from = bulk@*, but from is notice@example.org\n"
                "  rule notices: no: client = 192.0.2.0/24, but client is 198.51.100.1\n"
                "  rule carol:   yes\n"
                "  => quota IGNORED, by rule carol\n");
    assert_says(
        told(loaded),
        "\nAssumed: Sendmail resolves each recipient to the address as given, and to mailer "
        "cyrusv2q.\n         Its queue id is QUEUE-ID (--queue-id).\n");
    loaded.settings.sender = "bulk@x";
    assert_says(told(loaded), "\nverdict   the quota is ignored for no recipient\n");
  }

  void invalidOptionsAreRefused() {
    LoadedConfiguration loaded = asked();
    loaded.settings.client = "192.0\n";
    CPPUNIT_ASSERT_EQUAL(std::string("--client: \"192.0\\n\": expected an address"),
                         refusal(loaded));
    loaded = asked();
    loaded.settings.recipients = " , ";
    CPPUNIT_ASSERT_EQUAL(std::string("--explain: no recipient; add --rcpt ADDRESS"),
                         refusal(loaded));
  }

  static std::string refusal(const LoadedConfiguration& loaded) {
    try {
      told(loaded);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ExplainTest);

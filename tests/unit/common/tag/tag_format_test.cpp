#include "common/tag/tag_format.h"

#include <cppunit/extensions/HelperMacros.h>

#include <fstream>
#include <set>

#include "common/tag/key_file.h"
#include "tests/unit/common/tag/tag_vectors.h"

using namespace lmtpq;
using namespace lmtpq::tags;

class TagFormatTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TagFormatTest);
  CPPUNIT_TEST(signaturesAreThoseOfOpenssl);
  CPPUNIT_TEST(verifiesSignaturesOfOpenssl);
  CPPUNIT_TEST(theDocumentHasTheseVectorsKeysAndFaults);
  CPPUNIT_TEST(ofALongMessageIdTheBeginningIsDigested);
  CPPUNIT_TEST(blanksAndFoldsAreIgnored);
  CPPUNIT_TEST(linesAreShortAndBrokenWithLfTab);
  CPPUNIT_TEST(atMostAThousandRecipientsAreListed);
  CPPUNIT_TEST(aNameIsListedOnce);
  CPPUNIT_TEST(eachRecipientHasTheOverQuotaPolicyOfItsGroup);
  CPPUNIT_TEST(ofTwoPoliciesForOneNameTheFirstCounts);
  CPPUNIT_TEST(aMalformedPolicyIsAMalformedTag);
  CPPUNIT_TEST(policiesAreListedAsLongAsThereIsRoom);
  CPPUNIT_TEST(anOldKeyVerifiesAsLongAsItIsKept);
  CPPUNIT_TEST(theClaimedKeyIsFoundInValidAndInvalidTags);
  CPPUNIT_TEST(anAddressMatchesInEveryForm);
  CPPUNIT_TEST(onlyListedRecipientsIgnoreTheQuota);
  CPPUNIT_TEST(anEmptyListIsForNobody);
  CPPUNIT_TEST(digestsOfOneKindMatchNoOther);
  CPPUNIT_TEST(aTagRevealsNeitherSecretNorAddress);
  CPPUNIT_TEST_SUITE_END();

  static TagClaims old_is_refused() {
    TagClaims made = claims(QuotaScope::kNobody);
    made.over_quota = OverQuotaPolicy::parse("defer:3d");
    return made;
  }

  // Alice's is refused, Bob's deferred.
  static TagClaims with_policies() {
    TagClaims made = claims(QuotaScope::kEverybody);
    const std::vector<TagClaims::Recipient> both = claims(QuotaScope::kListed).listed;
    CPPUNIT_ASSERT(made.list_over_quota(OverQuotaPolicy::parse("refuse"), both[0]));
    CPPUNIT_ASSERT(made.list_over_quota(OverQuotaPolicy::parse("defer"), both[1]));
    return made;
  }

  void aNameIsListedOnce() {
    TagClaims once = claims(QuotaScope::kListed);
    once.listed = {{"alice@x", "alice"}, {"bob", ""}};
    TagClaims again = once;
    again.listed = {{"alice", "alice"}, {"bob", "bob"}, {"alice@x", "alice"}};
    CPPUNIT_ASSERT_EQUAL(sign_tag(once, ring().signer()), sign_tag(again, ring().signer()));
  }

  // "refuse", or "-" where the tag says nothing.
  static std::string policy_of(const Tag& tag, const std::string& address) {
    const auto policy = tag.over_quota(address);
    return policy ? policy->text() : "-";
  }

  void signaturesAreThoseOfOpenssl() {
    TagClaims bare = claims(QuotaScope::kNobody);
    bare.message_id.clear();
    TagClaims unbound = claims(QuotaScope::kEverybody);
    unbound.queue_id.clear();
    const Key& key = ring().signer();
    const std::string made[] = {sign_tag(claims(QuotaScope::kEverybody), key),
                                sign_tag(claims(QuotaScope::kListed), key),
                                sign_tag(bare, key),
                                sign_tag(unbound, key),
                                sign_tag(old_is_refused(), key),
                                sign_tag(with_policies(), key),
                                sign_tag(claims(QuotaScope::kEverybody), *ring().find("2025b"))};
    for (std::size_t i = 0; i < std::size(kVectors); ++i) {
      CPPUNIT_ASSERT_EQUAL(squeezed(kVectors[i]), squeezed(made[i]));
    }
  }

  void verifiesSignaturesOfOpenssl() {
    const QuotaScope scopes[] = {QuotaScope::kEverybody, QuotaScope::kListed,
                                 QuotaScope::kNobody,    QuotaScope::kEverybody,
                                 QuotaScope::kNobody,    QuotaScope::kEverybody,
                                 QuotaScope::kEverybody};
    for (std::size_t i = 0; i < std::size(kVectors); ++i) {
      const Tag tag = believed(kVectors[i]);
      CPPUNIT_ASSERT_EQUAL(std::string("6213AB7c012345.9f3kq0vb"), tag.trace().text());
      CPPUNIT_ASSERT(tag.quota() == scopes[i]);
      CPPUNIT_ASSERT_EQUAL(scopes[i] == QuotaScope::kEverybody, tag.ignores_quota("carol"));
      CPPUNIT_ASSERT_EQUAL(scopes[i] != QuotaScope::kNobody, tag.ignores_quota("alice"));
    }
  }

  // The suites run at the top of the source tree.
  void theDocumentHasTheseVectorsKeysAndFaults() {
    std::ifstream document("docs/TAG.md");
    std::vector<std::string> vectors;
    std::set<std::string> others;
    for (std::string line; std::getline(document, line);) {
      if (line.starts_with("v=1; k=")) {
        vectors.push_back(line);
      } else {
        others.insert(line.starts_with("| ") ? line.substr(0, line.find(" |", 2)) : line + '\n');
      }
    }
    CPPUNIT_ASSERT_EQUAL(std::size(kVectors) + 1, vectors.size());
    CPPUNIT_ASSERT_EQUAL(std::string(kOfALongId), vectors.back());
    vectors.pop_back();
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      CPPUNIT_ASSERT_EQUAL(std::string(kVectors[i]), vectors[i]);
    }
    CPPUNIT_ASSERT(others.contains("    " + std::string(kNewKeyLine)));
    CPPUNIT_ASSERT(others.contains("    " + std::string(kOldKeyLine)));
    for (const char* const fault : kTagFaultNames) {
      CPPUNIT_ASSERT_MESSAGE(fault, others.contains(std::string("| ") + fault));
    }
  }

  // trap: message-id-cut
  void ofALongMessageIdTheBeginningIsDigested() {
    TagClaims made = claims(QuotaScope::kEverybody);
    made.trace = *TraceId::parse("6213AB7c012345-9f3kq0vb");
    made.message_id = long_id();
    CPPUNIT_ASSERT_EQUAL(squeezed(kOfALongId), squeezed(sign_tag(made, ring().signer())));
    const std::string id = long_id();
    const auto verdict_of = [](const std::string& seen) {
      return verdict(kOfALongId, {seen, kQueueId});
    };
    for (const std::size_t seen : {3000U, 2200U, 2047U, 999U, 998U}) {
      CPPUNIT_ASSERT_EQUAL(std::string("good"), verdict_of(id.substr(0, seen)));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("wrong message"), verdict_of(id.substr(0, 997)));
    CPPUNIT_ASSERT_EQUAL(std::string("wrong message"), verdict_of("<y" + id.substr(2)));
    // Blanks and folds do not count, wherever a line was broken.
    CPPUNIT_ASSERT_EQUAL(std::string("good"),
                         verdict_of(" " + id.substr(0, 500) + "\r\n \t" + id.substr(500)));
  }

  void blanksAndFoldsAreIgnored() {
    CPPUNIT_ASSERT_EQUAL(std::string("good"), verdict(squeezed(kToTheListed)));
    for (const char* const blank : {" ", "\t", "\n\t", "\r\n\t", "\r\n    ", "\r", "\n"}) {
      std::string everywhere(blank);
      for (std::size_t at = 0; at < kToTheListed.size(); ++at) {
        std::string edited(kToTheListed);
        edited.insert(at, blank);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(edited, std::string("good"), verdict(edited));
        (everywhere += kToTheListed[at]) += blank;
      }
      CPPUNIT_ASSERT_EQUAL(std::string("good"), verdict(everywhere));
    }
  }

  void linesAreShortAndBrokenWithLfTab() {
    for (const QuotaScope scope :
         {QuotaScope::kEverybody, QuotaScope::kListed, QuotaScope::kNobody}) {
      const std::string value = sign_tag(claims(scope), ring().signer());
      CPPUNIT_ASSERT_EQUAL(std::string("good"), verdict(value));
      CPPUNIT_ASSERT(value.find('\r') == std::string::npos);
      std::size_t width = kTagName.size() + 2;
      std::size_t breaks = 0;
      for (std::size_t begin = 0; begin <= value.size();) {
        const std::size_t end = std::min(value.find('\n', begin), value.size());
        const std::string line = value.substr(begin, end - begin);
        CPPUNIT_ASSERT_MESSAGE(line, width + line.size() <= 76);
        CPPUNIT_ASSERT_MESSAGE(line, !line.empty() && !line.ends_with(' '));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(line, breaks++ > 0, line.starts_with('\t'));
        width = 7;  // what the tab is wide beyond its one byte
        begin = end + 1;
      }
    }
  }

  void atMostAThousandRecipientsAreListed() {
    TagClaims many = claims(QuotaScope::kListed);
    many.trace = *TraceId::parse(std::string(TraceId::kMaxLength, 't'));
    many.listed.clear();
    for (std::size_t i = 1; i <= kMaxListed + 1; ++i) {
      many.listed.push_back({"given" + std::to_string(i), "resolved" + std::to_string(i)});
    }
    const Key longest(std::string(Key::kMaxId, 'k'), std::string(32, 's'));
    CPPUNIT_ASSERT(sign_tag(many, longest).size() <= kMaxTagLength);
    const Tag tag = believed(sign_tag(many, ring().signer()));
    for (const char* const name : {"given", "resolved"}) {
      CPPUNIT_ASSERT(tag.ignores_quota(std::string(name) + "1"));
      CPPUNIT_ASSERT(tag.ignores_quota(std::string(name) + "1000"));
      CPPUNIT_ASSERT(!tag.ignores_quota(std::string(name) + "1001"));
    }
  }

  void eachRecipientHasTheOverQuotaPolicyOfItsGroup() {
    const Tag grouped = believed(kWithPolicies);
    const Tag one = believed(kRefusedWhenOld);
    for (const char* const name : {"alice", "ALICE@example.org", "<\"alice\"@example.org>"}) {
      CPPUNIT_ASSERT_EQUAL(std::string("refuse"), policy_of(grouped, name));
      CPPUNIT_ASSERT_EQUAL(std::string("defer:3d"), policy_of(one, name));
      CPPUNIT_ASSERT_EQUAL(std::string("-"), policy_of(believed(kToEverybody), name));
    }
    CPPUNIT_ASSERT_EQUAL(std::string("defer"), policy_of(grouped, "bob+news"));
    CPPUNIT_ASSERT_EQUAL(std::string("-"), policy_of(grouped, "bob"));
    CPPUNIT_ASSERT_EQUAL(std::string("-"), policy_of(grouped, ""));
    CPPUNIT_ASSERT_EQUAL(std::string("defer:3d"), policy_of(one, "anyone"));
    CPPUNIT_ASSERT(grouped.ignores_quota("anyone") && !one.ignores_quota("alice"));
  }

  void ofTwoPoliciesForOneNameTheFirstCounts() {
    TagClaims twice = claims(QuotaScope::kNobody);
    CPPUNIT_ASSERT(twice.list_over_quota(OverQuotaPolicy::parse("defer"), {"a@x", "info"}));
    CPPUNIT_ASSERT(twice.list_over_quota(OverQuotaPolicy::parse("refuse"), {"b@x", "info"}));
    const Tag tag = believed(sign_tag(twice, ring().signer()));
    CPPUNIT_ASSERT_EQUAL(std::string("defer"), policy_of(tag, "info"));
    CPPUNIT_ASSERT_EQUAL(std::string("refuse"), policy_of(tag, "b@x"));
    const std::string digest_of_a = digest("rcpt:a@x");
    const Tag written = believed(with_over_quota("r:" + digest_of_a + ",d:" + digest_of_a));
    CPPUNIT_ASSERT_EQUAL(std::string("refuse"), policy_of(written, "a@x"));
  }

  void aMalformedPolicyIsAMalformedTag() {
    const std::string one = digest("rcpt:a");
    const std::pair<std::string, const char*> rows[] = {
        {"s", "good"},
        {"d", "good"},
        {"d1", "good"},
        {"d3144960000", "good"},
        {"r", "good"},
        {"r:" + one, "good"},
        {"s:" + one + ',' + one + ",d5:" + one, "good"},
        {"", "malformed"},
        {"x", "malformed"},
        {"ss", "malformed"},
        {"*", "malformed"},
        {"-", "malformed"},
        {"d0", "malformed"},
        {"d00", "malformed"},
        {"d050", "malformed"},
        {"d0:" + one, "malformed"},
        {"d050:" + one, "malformed"},
        {"s0", "malformed"},
        {"r1", "malformed"},
        {"D50", "malformed"},
        {"d0x50", "malformed"},
        {"d-1", "malformed"},
        {"d+1", "malformed"},
        {"d1x", "malformed"},
        {"d3144960001", "malformed"},
        {"d99999999999999999999999", "malformed"},
        {one, "malformed"},
        {':' + one, "malformed"},
        {"r:", "malformed"},
        {"r:" + one + ',', "malformed"},
        {"r:," + one, "malformed"},
        {"r:" + one.substr(1), "malformed"},
        {"r:" + one + 'A', "malformed"},
        {"r:" + one + ",r", "malformed"},
        {"r:" + one + ",x:" + one, "malformed"},
        {"r:r:" + one, "malformed"},
    };
    for (const auto& [field, expected] : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(field, std::string(expected), verdict(with_over_quota(field)));
    }
    const std::string elsewhere = "v=1;k=2026a;t=t1;q=-;x=1772971200;o=r;i=4GROmIcZ_LQ;";
    CPPUNIT_ASSERT_EQUAL(std::string("malformed"), verdict(sealed(elsewhere)));
  }

  // Whatever the rules and the recipients, a tag of ours is never too long.
  void policiesAreListedAsLongAsThereIsRoom() {
    const Key longest(std::string(Key::kMaxId, 'k'), std::string(32, 's'));
    for (const bool listed : {true, false}) {
      for (const std::size_t policies : {std::size_t{1}, 2 * kMaxListed}) {
        TagClaims many = claims(listed ? QuotaScope::kListed : QuotaScope::kEverybody);
        many.trace = *TraceId::parse(std::string(TraceId::kMaxLength, 't'));
        many.listed.clear();
        for (std::size_t i = 0; listed && i < kMaxListed; ++i) {
          many.listed.push_back({"given" + std::to_string(i), "resolved" + std::to_string(i)});
        }
        std::size_t room = 0;
        const auto policy = [&](std::size_t i) {
          return OverQuotaPolicy{OverQuotaAction::kDefer,
                                 std::chrono::seconds(3'144'900'000 + i % policies)};
        };
        while (many.list_over_quota(policy(room),
                                    {"g" + std::to_string(room), "r" + std::to_string(room)})) {
          ++room;
        }
        CPPUNIT_ASSERT(room >= (listed ? 160 : 800));
        CPPUNIT_ASSERT(sign_tag(many, longest).size() <= kMaxTagLength);
        const Tag tag = believed(sign_tag(many, ring().signer()));
        for (const char* const name : {"g", "r"}) {
          CPPUNIT_ASSERT(tag.over_quota(name + std::to_string(room - 1)) == policy(room - 1));
          CPPUNIT_ASSERT(!tag.over_quota(name + std::to_string(room)));
        }
      }
    }
  }

  void anOldKeyVerifiesAsLongAsItIsKept() {
    CPPUNIT_ASSERT_EQUAL(std::string("2025b"), believed(kOfTheOldKey).key_id());
    CPPUNIT_ASSERT_EQUAL(std::string("2026a"), believed(kToEverybody).key_id());
    const Keyring turned = parse_keys(std::string(kOldKeyLine) + std::string(kNewKeyLine), "k");
    const Keyring fresh = parse_keys(kNewKeyLine, "k");
    const Keyring forged = parse_keys("2025b AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "k");
    const auto by = [](const Keyring& keys) {
      return verdict(kOfTheOldKey, kMessage, kExpiry, keys);
    };
    CPPUNIT_ASSERT_EQUAL(std::string("good"), by(turned));
    CPPUNIT_ASSERT_EQUAL(std::string("unknown key"), by(fresh));
    CPPUNIT_ASSERT_EQUAL(std::string("unknown key"), by(Keyring()));
    CPPUNIT_ASSERT_EQUAL(std::string("bad mac"), by(forged));
  }

  void theClaimedKeyIsFoundInValidAndInvalidTags() {
    const std::string longest(Key::kMaxId, 'k');
    const std::string folded = "v=1;\r\n\tk = 20\r\n 24z ;t=t1";
    const std::pair<std::string, std::string> rows[] = {{std::string(kToEverybody), "2026a"},
                                                        {std::string(kOfTheOldKey), "2025b"},
                                                        {folded, "2024z"},
                                                        {"v=2; k=a; invalid", "a"},
                                                        {"v=1; k=" + longest + ';', longest},
                                                        {"v=1; k=" + longest + "kk;", longest},
                                                        {"v=1; k=;", ""},
                                                        {"v=1; k=a", ""},
                                                        {"v=1; t=t1; k=a;", ""},
                                                        {"", ""},
                                                        {std::string(1'000'000, 'k'), ""}};
    for (const auto& [value, id] : rows) {
      CPPUNIT_ASSERT_EQUAL(id, claimed_key(value));
    }
  }

  void anAddressMatchesInEveryForm() {
    const struct {
      const char* signed_as;
      const char* asked;
      bool same;
    } rows[] = {{"<Alice@Example.ORG>", "alice@example.org", true},
                {"alice@example.org", "<ALICE@EXAMPLE.ORG>", true},
                {"\"alice\"@example.org", "alice@example.org", true},
                {"<\"Alice Smith\"@example.org>", "alice smith@example.org", true},
                {"al\\ice@example.org", "\"alice\"@example.org", true},
                {"\"a\\\"b\"@example.org", "a\\\"b@example.org", true},
                {"\"a\\\"b\"@example.org", "ab@example.org", false},
                {"\"a\\\\b\"@example.org", "a\\\\b@example.org", true},
                {"\"a\\\\b\"@example.org", "ab@example.org", false},
                {"alice+news@example.org", "alice@example.org", false},
                {"alice@example.org", "alice", false},
                {"alice@example.org", "alice@example.org.", false},
                {"alice@example.org", "malice@example.org", false},
                {"alice@example.org", " alice@example.org", false},
                {"alice@example.org", "<alice@example.org", false},
                {"<alicex", "alice", false},
                {"\xc3\x84", "\xc3\xa4", false},
                {"\xc3\xa4@example.org", "\xc3\xa4@EXAMPLE.org", true}};
    for (const auto& row : rows) {
      CPPUNIT_ASSERT_EQUAL_MESSAGE(
          row.asked, row.same, comparable_address(row.signed_as) == comparable_address(row.asked));
      for (const bool given : {true, false}) {
        TagClaims one = claims(QuotaScope::kListed);
        one.listed = {{given ? row.signed_as : "x", given ? "x" : row.signed_as}};
        const Tag tag = believed(sign_tag(one, ring().signer()));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(row.asked, row.same, tag.ignores_quota(row.asked));
      }
    }
  }

  void onlyListedRecipientsIgnoreTheQuota() {
    const Tag listed = believed(kToTheListed);
    for (const char* const name :
         {"alice@example.org", "alice", "bob+news@example.org", "<BOB+news>"}) {
      CPPUNIT_ASSERT_MESSAGE(name, listed.ignores_quota(name));
      CPPUNIT_ASSERT_MESSAGE(name, believed(kToEverybody).ignores_quota(name));
      CPPUNIT_ASSERT_MESSAGE(name, !believed(kToNobody).ignores_quota(name));
    }
    for (const char* const name :
         {"", "<>", "*", "-", "bob", "bob@example.org", "nJMdJAvHkFw", "alice@example.com"}) {
      CPPUNIT_ASSERT_MESSAGE(name, !listed.ignores_quota(name));
    }
  }

  void anEmptyListIsForNobody() {
    TagClaims none = claims(QuotaScope::kListed);
    none.listed.clear();
    CPPUNIT_ASSERT_EQUAL(squeezed(sign_tag(claims(QuotaScope::kNobody), ring().signer())),
                         squeezed(sign_tag(none, ring().signer())));
    const Tag tag = believed(sign_tag(none, ring().signer()));
    CPPUNIT_ASSERT(tag.quota() == QuotaScope::kNobody);
    CPPUNIT_ASSERT(!tag.ignores_quota(""));
  }

  void digestsOfOneKindMatchNoOther() {
    const std::string text = "a@example.org";
    CPPUNIT_ASSERT(believed(with_quota(digest("rcpt:" + text))).ignores_quota(text));
    for (const std::string& kind :
         {std::string("message-id:"), std::string("queue-id:"), std::string(":"), std::string()}) {
      CPPUNIT_ASSERT_MESSAGE(kind, !believed(with_quota(digest(kind + text))).ignores_quota(text));
    }
    const struct {
      const char* field;
      const char* kind;
      const char* expected;
    } rows[] = {{"m=", "message-id:", "good"},        {"i=", "queue-id:", "good"},
                {"m=", "queue-id:", "wrong message"}, {"i=", "message-id:", "wrong message"},
                {"m=", "rcpt:", "wrong message"},     {"i=", "rcpt:", "wrong message"},
                {"m=", "", "wrong message"},          {"i=", "", "wrong message"}};
    for (const auto& row : rows) {
      const std::string value = sealed("v=1;k=2026a;t=t1;q=*;x=1772971200;" +
                                       (row.field + digest(row.kind + text)) + ';');
      CPPUNIT_ASSERT_EQUAL_MESSAGE(value, std::string(row.expected), verdict(value, {text, text}));
    }
  }

  void aTagRevealsNeitherSecretNorAddress() {
    const std::string value = squeezed(sign_tag(claims(QuotaScope::kListed), ring().signer()));
    const std::string secret = squeezed(kNewKeyLine.substr(kNewKeyLine.find(' ')));
    for (const std::string& hidden :
         {secret, secret.substr(0, 8), *from_base64(secret), std::string("alice"),
          std::string("bob"), std::string("example.org"), std::string("20260301120000")}) {
      CPPUNIT_ASSERT_MESSAGE(hidden, value.find(hidden) == std::string::npos);
    }
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TagFormatTest);

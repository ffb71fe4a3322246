#include "milter/policy/trace_origin.h"

#include <cppunit/extensions/HelperMacros.h>

using lmtpq::Address;
using lmtpq::Network;
using lmtpq::milter::HeaderFact;
using lmtpq::milter::MessageFacts;
using lmtpq::milter::TraceOrigin;

class TraceOriginTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(TraceOriginTest);
  CPPUNIT_TEST(takesTheIdOfATrustedClient);
  CPPUNIT_TEST(ignoresAClientThatIsNotTrusted);
  CPPUNIT_TEST(localClientsAreTrustedOnlyWhenConfigured);
  CPPUNIT_TEST(theFirstConfiguredNameWins);
  CPPUNIT_TEST(firstUsableFieldOfANameWins);
  CPPUNIT_TEST(takesOnlyNamedFields);
  CPPUNIT_TEST(takesEveryIdThatTraceAllows);
  CPPUNIT_TEST(ignoresIdsThatTraceRefuses);
  CPPUNIT_TEST(takesTheTraceIdOfTraceparent);
  CPPUNIT_TEST(ignoresInvalidTraceparents);
  CPPUNIT_TEST(makesAnIdFromTheQueueId);
  CPPUNIT_TEST_SUITE_END();

  static constexpr const char* kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";

  static TraceOrigin origin(std::vector<std::string> names) {
    return TraceOrigin(
        std::move(names),
        {{*Network::parse("192.0.2.0/24"), *Network::parse("2001:db8::/32")}, false});
  }

  static MessageFacts message(const char* client, std::vector<HeaderFact> headers) {
    MessageFacts made;
    made.client.address = Address::parse(client);
    made.queue_id = "Q1";
    made.headers = std::move(headers);
    return made;
  }

  static std::string chosen(const TraceOrigin& origin, const MessageFacts& message) {
    return origin.choose(message).text();
  }

  static std::string chosen_of(const std::string& name, const std::string& value) {
    return chosen(origin({name}), message("192.0.2.1", {{name, value}}));
  }

  static void check(const std::string& expected, const std::string& actual) {
    CPPUNIT_ASSERT_EQUAL(expected, actual);
  }

  static void check_made(const std::string& text) {
    CPPUNIT_ASSERT_MESSAGE(text, text.starts_with("Q1-") && text.size() == 11);
  }

  void takesTheIdOfATrustedClient() {
    const TraceOrigin asked = origin({"X-Trace"});
    for (const char* client : {"192.0.2.1", "::ffff:192.0.2.1", "2001:db8::7"}) {
      check("id-1", chosen(asked, message(client, {{"X-Trace", "id-1"}})));
      check("id-1", chosen(asked, message(client, {{"x-TRACE", "id-1"}})));
    }
  }

  void ignoresAClientThatIsNotTrusted() {
    for (const char* client : {"192.0.3.1", "2001:db9::7", "127.0.0.1"}) {
      check_made(chosen(origin({"X-Trace"}), message(client, {{"X-Trace", "id-1"}})));
    }
    check_made(
        chosen(TraceOrigin({"X-Trace"}, {{}, true}), message("127.0.0.1", {{"X-Trace", "id-1"}})));
    check_made(chosen(TraceOrigin(), message("192.0.2.1", {{"X-Trace", "id-1"}})));
  }

  void localClientsAreTrustedOnlyWhenConfigured() {
    const MessageFacts local = message("", {{"X-Trace", "id-1"}});
    CPPUNIT_ASSERT(!local.client.address);
    check_made(chosen(origin({"X-Trace"}), local));
    check_made(chosen(
        TraceOrigin({"X-Trace"}, {{*Network::parse("0.0.0.0/0"), *Network::parse("::/0")}, false}),
        local));
    check("id-1", chosen(TraceOrigin({"X-Trace"}, {{}, true}), local));
  }

  void theFirstConfiguredNameWins() {
    const MessageFacts both = message("192.0.2.1", {{"X-A", "a"}, {"X-B", "b"}});
    check("a", chosen(origin({"X-A", "X-B"}), both));
    check("b", chosen(origin({"X-B", "X-A"}), both));
    check("b", chosen(origin({"X-C", "X-B"}), both));
    check("b",
          chosen(origin({"X-A", "X-B"}), message("192.0.2.1", {{"X-A", "no id"}, {"X-B", "b"}})));
  }

  void firstUsableFieldOfANameWins() {
    check("2", chosen(origin({"X-A"}),
                      message("192.0.2.1", {{"X-A", "not one"}, {"X-A", "2"}, {"X-A", "3"}})));
  }

  void takesOnlyNamedFields() {
    check_made(chosen(origin({"X-A"}), message("192.0.2.1", {{"X-AB", "1"}, {"X", "2"}})));
    check_made(chosen(origin({}), message("192.0.2.1", {{"X-A", "1"}})));
  }

  void takesEveryIdThatTraceAllows() {
    check("t1-a_b.C", chosen_of("X-Trace", "t1-a_b.C"));
    check("t1", chosen_of("X-Trace", " \tt1 "));
    check("t1", chosen_of("X-Trace", "<t1>"));
    check("t1", chosen_of("X-Trace", " <t1> "));
    check(std::string(255, 'x'), chosen_of("X-Trace", std::string(255, 'x')));
  }

  void ignoresIdsThatTraceRefuses() {
    for (const char* value : {"", " ", "a b", "a@b", "<>", "<", ">", "<t1", "t1>", "<<t1>>",
                              "< t1 >", "a\r\nRSET", "\xc3\xa4", "<a@example.org>"}) {
      check_made(chosen_of("X-Trace", value));
    }
    check_made(chosen_of("X-Trace", std::string("a\0b", 3)));
    check_made(chosen_of("X-Trace", std::string(256, 'x')));
  }

  void takesTheTraceIdOfTraceparent() {
    const std::string trace = kTrace;
    for (const std::string& value :
         {"00-" + trace + "-00f067aa0ba902b7-01", " 00-" + trace + "-00f067aa0ba902b7-00\t",
          "00-" + trace + "-0000000000000001-ff", "01-" + trace + "-00f067aa0ba902b7-01",
          "cc-" + trace + "-00f067aa0ba902b7-01-what-the-future-will-be",
          "fe-" + trace + "-00f067aa0ba902b7-01-"}) {
      check(trace, chosen_of("traceparent", value));
      check(trace, chosen_of("TraceParent", value));
    }
    const std::string own = "00-" + trace + "-00f067aa0ba902b7-01";
    check(own, chosen_of("X-Trace", own));
  }

  void ignoresInvalidTraceparents() {
    const std::string trace = kTrace;
    const std::string parent = "-00f067aa0ba902b7";
    const std::string good = "00-" + trace + parent + "-01";
    for (const std::string& value : {
             std::string(""),
             std::string("id-1"),
             trace,
             std::string(55, '-'),
             '<' + good + '>',
             good.substr(0, 54),
             good + "0",
             good + "-00",
             good + ",",
             "ff-" + trace + parent + "-01",
             "01-" + trace + parent + "-01x",
             "01-" + trace + parent + "-01 -x",
             "0g-" + trace + parent + "-01",
             "00-" + std::string(32, '0') + parent + "-01",
             "00-" + trace + "-0000000000000000-01",
             "00-4BF92F3577B34DA6A3CE929D0E0E4736" + parent + "-01",
             "00-" + trace + "-00F067AA0BA902B7-01",
             "00-" + trace + parent + "-0A",
             "00-" + trace.substr(1) + "g" + parent + "-01",
             "00-" + trace + "-00f067aa0ba902bg-01",
             "00-" + trace + parent + "-0g",
             "00_" + trace + parent + "-01",
             "00-" + trace + "_00f067aa0ba902b7-01",
             "00-" + trace + parent + "_01",
             "0-0" + trace + parent + "-01",
             good + "," + good,
         }) {
      check_made(chosen_of("traceparent", value));
    }
  }

  void makesAnIdFromTheQueueId() {
    MessageFacts none;
    none.queue_id = "Q1";
    check_made(chosen(origin({"X-A"}), none));
    none.queue_id = "";
    CPPUNIT_ASSERT_EQUAL(std::size_t{8}, chosen(origin({"X-A"}), none).size());
    CPPUNIT_ASSERT(chosen(origin({"X-A"}), none) != chosen(origin({"X-A"}), none));
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(TraceOriginTest);

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>

#include "mailer/probe.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

const std::string kLine = "LMTPQ OK - unix:/s answers in 3 ms, no TLS | time=0.003s;;;0\n";

Settings settings_of() {
  Settings settings;
  settings.stores.emplace_back().destination.text = "unix:/s";
  settings.probe.recipient = "bob";
  settings.probe.warn_days = 14;
  settings.probe.critical_days = 3;
  return settings;
}

ProbeResult met_store() {
  ProbeResult result;
  result.reached = ProbeResult::Reached::kStore;
  result.connect_seconds = 0.003;
  return result;
}

ProbeResult secured_store(long long days) {
  ProbeResult result = met_store();
  result.in_tls = true;
  result.tls.protocol = "TLSv1.3";
  result.tls.trust = TlsTrust::kVerified;
  result.tls.chain.emplace_back().days_left = days;
  result.tls.chain.emplace_back().days_left = -1000;  // of a CA: only the first counts
  return result;
}

ProbeResult asked_store(int code, std::optional<EnhancedStatus> status, const char* text) {
  ProbeResult result = met_store();
  result.recipient = Answer{Awaited::kRcpt, Reply{code, status, {text}, {}}};
  return result;
}

void assert_report(MonitorReport::Status status, const std::string& line,
                   const ProbeResult& result) {
  const MonitorReport report = monitor(result, settings_of());
  CPPUNIT_ASSERT_EQUAL(line, report.line);
  CPPUNIT_ASSERT_EQUAL_MESSAGE(line, static_cast<int>(status), static_cast<int>(report.status));
}

}  // namespace

class ProbeMonitorTest : public CppUnit::TestFixture {
  CPPUNIT_TEST_SUITE(ProbeMonitorTest);
  CPPUNIT_TEST(aStoreThatAnswersIsOk);
  CPPUNIT_TEST(aFailureIsCriticalAndOursIsUnknown);
  CPPUNIT_TEST(daysToExpiryHaveTwoLimits);
  CPPUNIT_TEST(whereAFingerprintIsRequiredTheDatesDoNotMatter);
  CPPUNIT_TEST(tlsThatFailedAtLevelMayIsAWarning);
  CPPUNIT_TEST(aMailboxOverQuotaIsAWarningAndARefusedOneCritical);
  CPPUNIT_TEST(theWorstComesFirst);
  CPPUNIT_TEST(theLineIsPlainAndBoundedWhateverTheStoreSends);
  CPPUNIT_TEST_SUITE_END();

  void aStoreThatAnswersIsOk() { assert_report(MonitorReport::kOk, kLine, met_store()); }

  void aFailureIsCriticalAndOursIsUnknown() {
    ProbeResult result;
    result.failure = "unix:/s: Connection refused";
    assert_report(MonitorReport::kCritical, "LMTPQ CRITICAL - unix:/s: Connection refused\n",
                  result);
    result.own_trouble = true;
    assert_report(MonitorReport::kUnknown, "LMTPQ UNKNOWN - unix:/s: Connection refused\n", result);
    const MonitorReport refused = monitor_error("unknown option --x\n");
    CPPUNIT_ASSERT_EQUAL(std::string("LMTPQ UNKNOWN - unknown option --x\\n\n"), refused.line);
    CPPUNIT_ASSERT_EQUAL(3, static_cast<int>(refused.status));
  }

  void daysToExpiryHaveTwoLimits() {
    const std::tuple<long long, MonitorReport::Status, const char*> rows[] = {
        {40, MonitorReport::kOk, "expires in 40 days"},
        {14, MonitorReport::kOk, "expires in 14 days"},
        {13, MonitorReport::kWarning, "expires in 13 days"},
        {3, MonitorReport::kWarning, "expires in 3 days"},
        {2, MonitorReport::kCritical, "expires in 2 days"},
        {0, MonitorReport::kCritical, "expires in 0 days"},
        {-5, MonitorReport::kCritical, "expired 5 days ago"}};
    for (const auto& [days, status, words] : rows) {
      const std::string certificate = std::string("certificate ") + words;
      const std::string store = "unix:/s answers in 3 ms, TLS TLSv1.3 verified";
      const std::string figures = " | time=0.003s;;;0 days=" + std::to_string(days) + ";14:;3:\n";
      assert_report(status,
                    status == MonitorReport::kOk
                        ? "LMTPQ OK - " + store + ", " + certificate + figures
                        : std::string("LMTPQ ") +
                              (status == MonitorReport::kWarning ? "WARNING" : "CRITICAL") + " - " +
                              certificate + ", " + store + figures,
                    secured_store(days));
    }
  }

  void whereAFingerprintIsRequiredTheDatesDoNotMatter() {
    ProbeResult result = secured_store(-5);
    result.tls.trust = TlsTrust::kFingerprint;
    assert_report(
        MonitorReport::kOk,
        "LMTPQ OK - unix:/s answers in 3 ms, TLS TLSv1.3 fingerprint, certificate expired "
        "5 days ago | time=0.003s;;;0 days=-5;14:;3:\n",
        result);
  }

  void tlsThatFailedAtLevelMayIsAWarning() {
    ProbeResult result = met_store();
    result.tls_failure = "no shared cipher";
    assert_report(MonitorReport::kWarning,
                  "LMTPQ WARNING - mail goes without TLS, which failed: no shared cipher, unix:/s "
                  "answers in 3 ms | time=0.003s;;;0\n",
                  result);
  }

  void aMailboxOverQuotaIsAWarningAndARefusedOneCritical() {
    const std::string store = "unix:/s answers in 3 ms, no TLS";
    const std::string figures = " | time=0.003s;;;0\n";
    assert_report(MonitorReport::kOk, "LMTPQ OK - " + store + ", bob is below quota" + figures,
                  asked_store(250, EnhancedStatus{2, 1, 5}, "ok"));
    assert_report(MonitorReport::kWarning,
                  "LMTPQ WARNING - bob is over quota: 452 4.2.2 Over quota, " + store + figures,
                  asked_store(452, EnhancedStatus{4, 2, 2}, "Over quota"));
    assert_report(MonitorReport::kCritical,
                  "LMTPQ CRITICAL - bob is refused: 550 5.1.1 User unknown, " + store + figures,
                  asked_store(550, EnhancedStatus{5, 1, 1}, "User unknown"));
    assert_report(MonitorReport::kCritical,
                  "LMTPQ CRITICAL - bob: no reply: timed out, " + store + figures,
                  asked_store(0, std::nullopt, "timed out"));
  }

  void theWorstComesFirst() {
    ProbeResult result = secured_store(2);
    result.recipient =
        Answer{Awaited::kRcpt, Reply{452, EnhancedStatus{4, 2, 2}, {"Over quota"}, {}}};
    assert_report(MonitorReport::kCritical,
                  "LMTPQ CRITICAL - certificate expires in 2 days, bob is over quota: 452 4.2.2 "
                  "Over quota, unix:/s answers in 3 ms, TLS TLSv1.3 verified | time=0.003s;;;0 "
                  "days=2;14:;3:\n",
                  result);
  }

  // The reader takes what follows a `|` for figures, and what follows a line end for more text.
  void theLineIsPlainAndBoundedWhateverTheStoreSends() {
    ProbeResult result = secured_store(40);
    result.recipient = Answer{
        Awaited::kRcpt,
        Reply{550, std::nullopt, {"a|time=1\r\n\x1b[2J\xc3\xa4\xff" + std::string(9000, '|')}, {}}};
    result.failure = std::string(9000, '\xff');
    const std::string line = monitor(result, settings_of()).line;
    CPPUNIT_ASSERT_EQUAL(std::ptrdiff_t{1}, std::count(line.begin(), line.end(), '|'));
    CPPUNIT_ASSERT_MESSAGE(line, line.ends_with(" | time=0.003s;;;0 days=40;14:;3:\n"));
    CPPUNIT_ASSERT_MESSAGE(line, line.size() < 1000);
    CPPUNIT_ASSERT_MESSAGE(line, std::all_of(line.begin(), line.end() - 1,
                                             [](char c) { return c >= ' ' && c <= '~'; }));
    CPPUNIT_ASSERT_MESSAGE(
        line, line.find("bob is refused: 550 a\\x7ctime=1\\r\\n\\x1b[2J") != std::string::npos);
  }
};

CPPUNIT_TEST_SUITE_REGISTRATION(ProbeMonitorTest);

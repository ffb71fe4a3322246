// What a probe found, as one line for a monitoring system.

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "common/escape.h"
#include "mailer/message/outcome.h"
#include "mailer/probe.h"

namespace lmtpq::mailer {
namespace {

using Status = MonitorReport::Status;
using Finding = std::pair<Status, std::string>;

// The texts come from the store, and the reader of the line takes what follows `|` for figures.
std::string plain(std::string_view text) {
  constexpr std::size_t kLongest = 200;
  std::string made;
  for (const char byte : displayed(text)) {
    if (byte == '|' || static_cast<unsigned char>(byte) > '~') {
      char escape[5];
      std::snprintf(escape, sizeof escape, "\\x%02x",
                    static_cast<unsigned>(static_cast<unsigned char>(byte)));
      made += escape;
    } else {
      made += byte;
    }
    if (made.size() > kLongest) {
      return made.substr(0, kLongest) + "...";
    }
  }
  return made;
}

std::string printed(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string days_text(long long days) {
  const std::string number = std::to_string(days < 0 ? -days : days);
  return days < 0 ? "certificate expired " + number + " days ago"
                  : "certificate expires in " + number + " days";
}

// Where a fingerprint is required, the dates do not matter.
Finding certificate_finding(const ProbeResult& result, const ProbeSettings& limits) {
  const long long days = result.tls.chain.front().days_left;
  const bool counts = result.tls.trust != TlsTrust::kFingerprint;
  return {counts && days < limits.critical_days ? Status::kCritical
          : counts && days < limits.warn_days   ? Status::kWarning
                                                : Status::kOk,
          days_text(days)};
}

Finding mailbox_finding(const Answer& answer, const std::string& recipient) {
  if (!answered(answer.reply)) {
    return {Status::kCritical, recipient + ": " + reply_words(answer.reply)};
  }
  if (answer.reply.positive()) {
    return {Status::kOk, recipient + " is below quota"};
  }
  if (outcome_of(answer).full) {
    return {Status::kWarning, recipient + " is over quota: " + reply_words(answer.reply)};
  }
  return {Status::kCritical, recipient + " is refused: " + reply_words(answer.reply)};
}

Finding tls_finding(const ProbeResult& result) {
  if (!result.tls_failure.empty()) {
    return {Status::kWarning, "mail goes without TLS, which failed: " + result.tls_failure};
  }
  return {Status::kOk, result.in_tls ? "TLS " + result.tls.protocol + ' ' +
                                           kTlsTrustNames[static_cast<int>(result.tls.trust)]
                                     : std::string("no TLS")};
}

std::vector<Finding> findings_of(const ProbeResult& result, const Settings& settings) {
  std::vector<Finding> found;
  if (!result.failure.empty()) {
    found.emplace_back(result.own_trouble ? Status::kUnknown : Status::kCritical, result.failure);
  }
  if (result.reached == ProbeResult::Reached::kStore) {
    found.emplace_back(Status::kOk, settings.stores.front().destination.text + " answers in " +
                                        printed("%.0f ms", result.connect_seconds * 1000));
    found.push_back(tls_finding(result));
  }
  if (!result.tls.chain.empty()) {
    found.push_back(certificate_finding(result, settings.probe));
  }
  if (result.recipient) {
    found.push_back(mailbox_finding(*result.recipient, settings.probe.recipient));
  }
  return found;
}

std::string figures(const ProbeResult& result, const ProbeSettings& limits) {
  std::string text;
  if (result.reached == ProbeResult::Reached::kStore) {
    text += printed(" time=%.3fs;;;0", result.connect_seconds);
  }
  if (!result.tls.chain.empty()) {
    text += " days=" + std::to_string(result.tls.chain.front().days_left) + ';' +
            std::to_string(limits.warn_days) + ":;" + std::to_string(limits.critical_days) + ':';
  }
  return text.empty() ? text : " |" + text;
}

// The worst comes first.
MonitorReport report_of(std::vector<Finding> found, const std::string& figures) {
  constexpr const char* kNames[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
  std::stable_sort(found.begin(), found.end(),
                   [](const Finding& a, const Finding& b) { return a.first > b.first; });
  MonitorReport made;
  made.status = found.front().first;
  made.line = std::string("LMTPQ ") + kNames[made.status];
  for (const Finding& finding : found) {
    made.line += (&finding == found.data() ? " - " : ", ") + plain(finding.second);
  }
  made.line += figures + '\n';
  return made;
}

}  // namespace

MonitorReport monitor(const ProbeResult& result, const Settings& settings) {
  return report_of(findings_of(result, settings), figures(result, settings.probe));
}

MonitorReport monitor_error(const std::string& error) {
  return report_of({{Status::kUnknown, error}}, "");
}

}  // namespace lmtpq::mailer

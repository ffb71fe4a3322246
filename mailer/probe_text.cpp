// What a probe found, for people.

#include <cstdio>

#include "common/escape.h"
#include "mailer/probe.h"

namespace lmtpq::mailer {
namespace {

std::string row(const std::string& name, const std::string& value) {
  std::string line = name;
  line.resize(std::max<std::size_t>(line.size() + 1, 19), ' ');
  return line + displayed(value) + "\n";
}

std::string offers_rows(const char* title, const Capabilities& offered) {
  std::string out;
  std::string first = title;
  for (const auto& [keyword, parameters] : offered.all()) {
    if (is_capability(parameters)) {
      out +=
          row(first, std::string(keyword).append(parameters.empty() ? "" : " ").append(parameters));
      first.clear();
    }
  }
  return out;
}

std::string certificate_rows(const CertificateFacts& certificate, bool leaf) {
  std::string names;
  for (const std::string& name : certificate.names) {
    names += (names.empty() ? "" : " ") + name;
  }
  std::string out = row(leaf ? "certificate" : "signed by", certificate.subject);
  out += row("  issuer", certificate.issuer);
  if (leaf || !names.empty()) {
    out += row("  names", names.empty() ? "none" : names);
  }
  out += row("  expires", certificate.not_after +
                              (certificate.days_left < 0
                                   ? ", expired for " + std::to_string(-certificate.days_left)
                                   : ", in " + std::to_string(certificate.days_left)) +
                              " days");
  out += row("  sha256", certificate.fingerprint);
  return out + row("  key sha256", certificate.key_fingerprint);
}

std::string tls_rows(const ProbeResult& result) {
  const TlsFacts& tls = result.tls;
  std::string out;
  if (result.in_tls) {
    out += row("TLS", tls.protocol + " " + tls.cipher + ", " +
                          kTlsTrustNames[static_cast<int>(tls.trust)]);
  }
  if (!result.tls_failure.empty()) {
    out += row("TLS", "failed: " + result.tls_failure + "; continued without TLS");
  }
  if (!tls.verification.empty()) {
    out += row("verification", tls.verification);
  }
  for (std::size_t i = 0; i < tls.chain.size(); ++i) {
    out += certificate_rows(tls.chain[i], i == 0);
  }
  return out;
}

std::string greeting_rows(const ProbeResult& result) {
  return result.offered.empty()
             ? std::string()
             : row("greeting", result.greeting.summary()) +
                   offers_rows(result.tls_first ? "offers in TLS" : "offers", result.offered[0]);
}

}  // namespace

std::string describe(const ProbeResult& result, const std::string& recipient) {
  char connected[40];
  std::snprintf(connected, sizeof connected, " in %.1f ms", result.connect_seconds * 1000);
  std::string out = row("connected", result.peer + connected);
  out += row("settings", result.settings.empty() ? "no section matches" : result.settings);
  out += result.tls_first ? tls_rows(result) + greeting_rows(result)
                          : greeting_rows(result) + tls_rows(result);
  if (result.in_tls && !result.tls_first && result.offered.size() > 1) {
    out += offers_rows("offers in TLS", result.offered[1]);
  }
  if (!result.mechanism.empty()) {
    out += row("login",
               result.mechanism + (result.user.empty() ? "" : " as " + result.user) +
                   (result.layer_bits == 0
                        ? ""
                        : ", security layer of " + std::to_string(result.layer_bits) + " bits"));
    if (result.reached == ProbeResult::Reached::kStore) {
      out += offers_rows("offers after login", result.offered.back());
    }
  } else if (result.reached == ProbeResult::Reached::kStore &&
             result.offered.back().offers("AUTH")) {
    out += row("login", "none configured; the store offers AUTH");
  }
  if (result.reached != ProbeResult::Reached::kStore) {
    return out;
  }
  if (!result.session.empty()) {
    out += row("session", result.session);
  }
  for (const char* extension : {"IGNOREQUOTA", "TRACE"}) {
    out += row(extension, result.offered.back().offers(extension) ? "yes" : "no");
  }
  if (!result.trace.empty()) {
    out += row("  id", result.trace.text());
    out += row("  reply", result.trace_reply);
  }
  if (result.recipient) {
    out += row("mailbox", recipient + ": " + quota_words(*result.recipient));
    out += row(kAwaitedNames[static_cast<int>(result.recipient->stage)],
               reply_words(result.recipient->reply));
  }
  if (result.with_ignorequota) {
    out += row("  with IGNOREQUOTA", reply_words(result.with_ignorequota->reply));
  }
  return out;
}

}  // namespace lmtpq::mailer

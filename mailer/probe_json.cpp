// What a probe found, as JSON (RFC 8259).

#include "mailer/json.h"
#include "mailer/probe.h"

namespace lmtpq::mailer {
namespace {

std::string offers_json(const Capabilities& offered) {
  JsonObject object;
  for (const auto& [keyword, parameters] : offered.all()) {
    if (is_capability(parameters)) {
      object.add_text(keyword, parameters);
    }
  }
  return object.text();
}

std::string tls_json(const ProbeResult& result) {
  std::vector<std::string> chain;
  for (const CertificateFacts& certificate : result.tls.chain) {
    std::vector<std::string> names;
    for (const std::string& name : certificate.names) {
      names.push_back(json_string(name));
    }
    chain.push_back(JsonObject()
                        .add_text("subject", certificate.subject)
                        .add_text("issuer", certificate.issuer)
                        .add("names", json_list(names))
                        .add_text("not_after", certificate.not_after)
                        .add("days_left", std::to_string(certificate.days_left))
                        .add_text("sha256", certificate.fingerprint)
                        .add_text("key_sha256", certificate.key_fingerprint)
                        .text());
  }
  return JsonObject()
      .add_truth("established", result.in_tls)
      .add_text("protocol", result.tls.protocol)
      .add_text("cipher", result.tls.cipher)
      .add_text("trust", kTlsTrustNames[static_cast<int>(result.tls.trust)])
      .add_text("verification", result.tls.verification)
      .add("chain", json_list(chain))
      .text();
}

}  // namespace

std::string to_json(const ProbeResult& result, const std::string& recipient) {
  const char* const reached[] = {"nothing", "nonsense", "unsecured", "store"};
  JsonObject out;
  out.add_text("reached", reached[static_cast<int>(result.reached)])
      .add_text("peer", result.peer)
      .add("connect_seconds", std::to_string(result.connect_seconds));
  if (!result.failure.empty()) {
    out.add_text("failure", result.failure);
  }
  if (result.offered.empty()) {
    return out.text() + "\n";
  }
  out.add_text("settings", result.settings);
  if (!result.tls_failure.empty()) {
    out.add_text("tls_failure", result.tls_failure);
  }
  out.add_text("greeting", result.greeting.summary());
  std::vector<std::string> earlier;
  for (std::size_t i = 0; i + 1 < result.offered.size(); ++i) {
    earlier.push_back(offers_json(result.offered[i]));
  }
  // What counts is the last list; the earlier ones were said before TLS or the login.
  out.add("offers", offers_json(result.offered.back()));
  if (!earlier.empty()) {
    out.add("offered_before", json_list(earlier));
  }
  if (result.in_tls || !result.tls.chain.empty()) {
    out.add("tls", tls_json(result));
  }
  if (!result.mechanism.empty()) {
    out.add("login", JsonObject()
                         .add_text("mechanism", result.mechanism)
                         .add_text("user", result.user)
                         .add("layer_bits", std::to_string(result.layer_bits))
                         .text());
  }
  if (result.reached == ProbeResult::Reached::kUnsecured) {
    return out.text() + "\n";
  }
  out.add_text("session", result.session);
  for (const char* extension : {"IGNOREQUOTA", "TRACE"}) {
    out.add_truth(extension, result.offered.back().offers(extension));
  }
  if (result.recipient) {
    out.add_text("mailbox", recipient)
        .add_text("state", quota_words(*result.recipient))
        .add_text("rcpt", result.recipient->summary());
  }
  if (result.with_ignorequota) {
    out.add_text("rcpt_ignorequota", result.with_ignorequota->summary());
  }
  return out.text() + "\n";
}

}  // namespace lmtpq::mailer

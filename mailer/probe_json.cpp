// What a probe found, as JSON (RFC 8259).

#include <cmath>
#include <nlohmann/json.hpp>

#include "mailer/probe.h"

namespace lmtpq::mailer {
namespace {

using Json = nlohmann::ordered_json;

// A destination's path need not be UTF-8; and what a store sends may hold controls of the display,
// so that only ASCII is printed.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', true, Json::error_handler_t::replace) + "\n";
}

Json offers_json(const Capabilities& offered) {
  Json made = Json::object();
  for (const auto& [keyword, parameters] : offered.all()) {
    if (is_capability(parameters)) {
      made[std::string(keyword)] = parameters;
    }
  }
  return made;
}

Json certificate_json(const CertificateFacts& certificate) {
  return {{"subject", certificate.subject},
          {"issuer", certificate.issuer},
          {"names", certificate.names},
          {"not_after", certificate.not_after},
          {"days_left", certificate.days_left},
          {"sha256", certificate.fingerprint},
          {"key_sha256", certificate.key_fingerprint}};
}

Json tls_json(const ProbeResult& result) {
  Json chain = Json::array();
  for (const CertificateFacts& certificate : result.tls.chain) {
    chain.push_back(certificate_json(certificate));
  }
  return {{"established", result.in_tls},
          {"from_start", result.tls_first},
          {"protocol", result.tls.protocol},
          {"cipher", result.tls.cipher},
          {"trust", kTlsTrustNames[static_cast<int>(result.tls.trust)]},
          {"verification", result.tls.verification},
          {"chain", std::move(chain)}};
}

void add_offers(const ProbeResult& result, Json& out) {
  if (result.offered.empty()) {
    return;
  }
  out["greeting"] = result.greeting.summary();
  // The last list is the one in effect; the earlier ones came before TLS or the login.
  out["offers"] = offers_json(result.offered.back());
  for (std::size_t i = 0; i + 1 < result.offered.size(); ++i) {
    out["offered_before"].push_back(offers_json(result.offered[i]));
  }
}

void add_mailbox(const ProbeResult& result, const std::string& recipient, Json& out) {
  if (result.recipient) {
    out["mailbox"] = recipient;
    out["state"] = quota_words(*result.recipient);
    out[result.recipient->stage == Awaited::kMail ? "mail" : "rcpt"] =
        reply_words(result.recipient->reply);
  }
  if (result.with_ignorequota) {
    out["rcpt_ignorequota"] = reply_words(result.with_ignorequota->reply);
  }
}

}  // namespace

std::string to_json(const ProbeResult& result, const std::string& recipient) {
  const char* const reached[] = {"nothing", "protocol-error", "unsecured", "store"};
  Json out{{"reached", reached[static_cast<int>(result.reached)]},
           {"peer", result.peer},
           {"connect_seconds", std::round(result.connect_seconds * 1e6) / 1e6}};
  if (!result.failure.empty()) {
    out["failure"] = result.failure;
  }
  if (!result.met()) {
    return text_of(out);
  }
  out["settings"] = result.settings;
  if (!result.tls_failure.empty()) {
    out["tls_failure"] = result.tls_failure;
  }
  add_offers(result, out);
  if (result.in_tls || !result.tls.chain.empty()) {
    out["tls"] = tls_json(result);
  }
  if (!result.mechanism.empty()) {
    out["login"] = {
        {"mechanism", result.mechanism}, {"user", result.user}, {"layer_bits", result.layer_bits}};
  }
  if (result.reached != ProbeResult::Reached::kStore) {
    return text_of(out);
  }
  out["session"] = result.session;
  for (const char* extension : {"IGNOREQUOTA", "TRACE"}) {
    out[extension] = result.offered.back().offers(extension);
  }
  if (!result.trace.empty()) {
    out["trace_id"] = result.trace.text();
    out["trace_reply"] = result.trace_reply;
  }
  add_mailbox(result, recipient, out);
  return text_of(out);
}

}  // namespace lmtpq::mailer

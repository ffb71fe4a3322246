#include "probe.h"

#include <cstdio>

#include "upstream.h"

namespace lmtpq {
namespace {

// The answer to RCPT; code 0 and the reason where none came.
Reply ask(Upstream& upstream, const Settings& settings, bool ignore_quota) {
  Transaction transaction;
  transaction.trace = settings.trace_id;
  transaction.recipients.push_back(
      {Mailbox::parse(settings.probe_recipient).value_or(Mailbox()), ignore_quota});
  upstream.ask(std::move(transaction), Deadline::max());
  const auto& answer = upstream.client().answers().at(0);
  Reply none;
  none.lines.push_back(upstream.client().reason());
  return answer ? answer->reply : none;
}

std::string row(const std::string& name, const std::string& value) {
  std::string line = name;
  line.resize(std::max<std::size_t>(line.size() + 1, 19), ' ');
  return line + value + "\n";
}

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    // Replies are printable ASCII already; a destination's path need not be.
    if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string json_pair(const std::string& name, const std::string& value) {
  return json_string(name) + ": " + value;
}

const char* quota_words(const Reply& reply) {
  if (reply.code == 0) {
    return "not answered";
  }
  return over_quota(reply) ? "over quota" : reply.positive() ? "accepted" : "refused";
}

}  // namespace

bool over_quota(const Reply& reply) {
  return reply.status && reply.status->subject == 2 && reply.status->detail == 2;
}

ProbeResult probe(const Settings& settings, Dialer& dialer, const Log& log) {
  ProbeResult result;
  const Clock::time_point start = Clock::now();
  Dialed dialed =
      dialer.dial(settings.destinations.front(), settings.timeouts.connect, Deadline::max());
  result.connect_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.peer = dialed.peer;
  result.failure = dialed.failure;
  if (!dialed.channel) {
    return result;
  }
  Upstream upstream(std::move(dialed.channel), dialed.peer, settings, log);
  if (!upstream.open(Deadline::max())) {
    result.reached = ProbeResult::Reached::kNonsense;
    result.failure = dialed.peer + ": " + upstream.client().reason();
    return result;
  }
  result.reached = ProbeResult::Reached::kStore;
  result.greeting = upstream.client().greeting();
  result.capabilities = upstream.client().capabilities();
  result.session = upstream.client().session();
  if (!settings.probe_recipient.empty()) {
    result.recipient = ask(upstream, settings, false);
    if (upstream.client().reusable() && result.capabilities.offers("IGNOREQUOTA")) {
      result.with_ignorequota = ask(upstream, settings, true);
    }
  }
  if (upstream.client().reusable()) {
    upstream.quit();
  }
  return result;
}

std::string describe(const ProbeResult& result, const std::string& recipient) {
  char connected[40];
  std::snprintf(connected, sizeof connected, " in %.1f ms", result.connect_seconds * 1000);
  std::string out = row("connected", result.peer + connected);
  out += row("greeting", result.greeting.summary());
  std::string title = "offers";
  for (const auto& [keyword, parameters] : result.capabilities.all()) {
    // Cyrus ends its list with "Ok SESSIONID=<...>", which is no capability.
    if (parameters.find("SESSIONID=") == std::string::npos) {
      out +=
          row(title, std::string(keyword).append(parameters.empty() ? "" : " ").append(parameters));
      title.clear();
    }
  }
  if (!result.session.empty()) {
    out += row("session", result.session);
  }
  for (const char* extension : {"IGNOREQUOTA", "TRACE"}) {
    out += row(extension, result.capabilities.offers(extension) ? "yes" : "no");
  }
  if (result.recipient) {
    out += row("mailbox", recipient + ": " + quota_words(*result.recipient));
    out += row("RCPT", result.recipient->summary());
  }
  if (result.with_ignorequota) {
    out += row("  with IGNOREQUOTA", result.with_ignorequota->summary());
  }
  return out;
}

std::string to_json(const ProbeResult& result, const std::string& recipient) {
  const char* const reached[] = {"nothing", "nonsense", "store"};
  std::string out =
      "{" + json_pair("reached", json_string(reached[static_cast<int>(result.reached)]));
  out += ", " + json_pair("peer", json_string(result.peer));
  out += ", " + json_pair("connect_seconds", std::to_string(result.connect_seconds));
  if (!result.failure.empty()) {
    out += ", " + json_pair("failure", json_string(result.failure));
  }
  if (result.reached == ProbeResult::Reached::kStore) {
    out += ", " + json_pair("greeting", json_string(result.greeting.summary()));
    std::string offers;
    for (const auto& [keyword, parameters] : result.capabilities.all()) {
      if (parameters.find("SESSIONID=") == std::string::npos) {
        offers += (offers.empty() ? "" : ", ") + json_pair(keyword, json_string(parameters));
      }
    }
    out += ", " + json_pair("offers", "{" + offers + "}");
    out += ", " + json_pair("session", json_string(result.session));
    for (const char* extension : {"IGNOREQUOTA", "TRACE"}) {
      out += ", " + json_pair(extension, result.capabilities.offers(extension) ? "true" : "false");
    }
  }
  if (result.recipient) {
    out += ", " + json_pair("mailbox", json_string(recipient));
    out += ", " + json_pair("state", json_string(quota_words(*result.recipient)));
    out += ", " + json_pair("rcpt", json_string(result.recipient->summary()));
  }
  if (result.with_ignorequota) {
    out += ", " + json_pair("rcpt_ignorequota", json_string(result.with_ignorequota->summary()));
  }
  return out + "}\n";
}

}  // namespace lmtpq

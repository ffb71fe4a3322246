#include "mailer/probe.h"

#include <sysexits.h>

#include <array>
#include <cstdio>

#include "common/escape.h"
#include "mailer/message/outcome.h"
#include "mailer/store/connector.h"

namespace lmtpq::mailer {
namespace {

constexpr int kClosing = 421;

// A 421 ends the connection instead of answering the command.
Answer ask(Upstream& upstream, const Settings& settings, bool ignore_quota, Deadline latest) {
  Transaction transaction;
  transaction.purpose = Transaction::Purpose::kAsk;
  transaction.trace = settings.trace_id;
  transaction.recipients.push_back(
      {Mailbox::parse(settings.probe.recipient).value_or(Mailbox()), ignore_quota});
  upstream.ask(transaction, latest);
  const LmtpClient& client = upstream.client();
  if (const auto& answer = client.answers().at(0)) {
    return *answer;
  }
  if (client.goodbye()) {
    return *client.goodbye();
  }
  Reply none;
  none.lines.push_back(client.reason());
  return {Awaited::kRcpt, none};
}

// An id of the kind that mail gets: the milter's, or that of --trace-id. Last on the connection, as
// a store may close it instead of replying.
void ask_trace(Upstream& upstream, const TraceId& given, Deadline latest, ProbeResult& result) {
  Transaction transaction;
  transaction.purpose = Transaction::Purpose::kTrace;
  transaction.trace = given.empty() ? TraceId::make("probe") : given;
  result.trace = transaction.trace;
  upstream.ask(transaction, latest);
  const LmtpClient& client = upstream.client();
  const auto& reply = client.trace_reply() ? client.trace_reply() : client.breaking_reply();
  result.trace_reply = reply ? reply->summary() : "none: " + client.reason();
}

void ask_store(Upstream& upstream, const Settings& settings, Deadline latest, ProbeResult& result) {
  const LmtpClient& client = upstream.client();
  if (!settings.probe.recipient.empty()) {
    result.recipient = ask(upstream, settings, false, latest);
    if (client.reusable() && result.offered.back().offers("IGNOREQUOTA")) {
      result.with_ignorequota = ask(upstream, settings, true, latest);
    }
  }
  if (client.reusable() && result.offered.back().offers("TRACE")) {
    ask_trace(upstream, settings.trace_id, latest, result);
  }
  if (!client.reusable()) {
    result.failure = client.reason() + " (" + upstream.peer() + ")";
    return;
  }
  upstream.quit(latest);
  for (const std::string& keyword : settings.probe.required) {
    if (!result.offered.back().offers(keyword)) {
      result.failure = "the store does not offer " + escaped(keyword) +
                       ", which --require lists (" + upstream.peer() + ")";
    }
  }
}

// What the connection shows, also one that failed.
void describe_connection(const Connection& connection, const Store& store, ProbeResult& result) {
  const Upstream& upstream = *connection.upstream;
  result.peer = upstream.peer();
  result.greeting = upstream.client().greeting();
  result.offered = upstream.offered();
  result.session = upstream.client().session();
  result.in_tls = upstream.tls() != nullptr;
  result.tls_first = store.settings.tls.wrapper;
  result.tls_failure = connection.without_tls;
  result.tls =
      result.in_tls || result.tls_failure.empty() ? upstream.tls_facts() : connection.failed_tls;
  result.mechanism = upstream.mechanism();
  result.user = store.login.user;
  result.layer_bits = upstream.layer_bits();
}

ProbeResult probe_until(Deadline latest, const Settings& settings, Dialer& dialer, const Log& log) {
  ProbeResult result;
  const Clock::time_point start = Clock::now();
  const Store& store = settings.stores.front();
  result.settings = store.section;
  Connector connector(store, settings, dialer, log);
  Connection connection = connector.connect(latest);
  result.connect_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.failure = connection.failure;
  result.own_trouble = !connection.ready && connection.trouble == Trouble::kConfiguration;
  if (!connection.upstream) {
    return result;
  }
  describe_connection(connection, store, result);
  if (!connection.ready) {
    // TLS from the start, and what it protects is no greeting.
    const bool refused = result.offered.empty() && result.in_tls;
    result.reached = result.met() && !refused ? ProbeResult::Reached::kUnsecured
                                              : ProbeResult::Reached::kProtocolError;
    return result;
  }
  result.reached = ProbeResult::Reached::kStore;
  ask_store(*connection.upstream, settings, latest, result);
  return result;
}

}  // namespace

bool answered(const Reply& reply) { return reply.code != 0 && reply.code != kClosing; }

std::string reply_words(const Reply& reply) {
  return reply.code == 0 ? "no reply: " + reply.text() : reply.summary();
}

const char* quota_words(const Answer& answer) {
  if (!answered(answer.reply)) {
    return "not answered";
  }
  if (outcome_of(answer).full) {
    return "over quota";
  }
  return answer.reply.positive() ? "accepted" : "refused";
}

int exit_status(const ProbeResult& result) {
  if (result.reached == ProbeResult::Reached::kNothing || result.timed_out) {
    return EX_UNAVAILABLE;
  }
  const auto wants_login = [](const std::optional<Answer>& answer) {
    return answer && asks_for_login(answer->reply);
  };
  const bool complete = result.reached == ProbeResult::Reached::kStore && result.failure.empty();
  return !complete || wants_login(result.recipient) || wants_login(result.with_ignorequota)
             ? EX_PROTOCOL
             : EX_OK;
}

bool is_capability(const std::string& parameters) {
  return parameters.find("SESSIONID=") == std::string::npos;
}

std::string too_slow(std::chrono::milliseconds timeout) {
  std::array<char, 32> seconds{};
  std::snprintf(seconds.data(), seconds.size(), "%g", static_cast<double>(timeout.count()) / 1000);
  return std::string("not done within ") + seconds.data() + " s (--timeout)";
}

ProbeResult probe(const Settings& settings, Dialer& dialer, const Log& log) {
  const Deadline latest = Clock::now() + settings.probe.timeout;
  ProbeResult result = probe_until(latest, settings, dialer, log);
  result.timed_out = !result.failure.empty() && Clock::now() >= latest;
  if (result.timed_out) {
    result.failure = too_slow(settings.probe.timeout) + ": " + result.failure;
  }
  return result;
}

}  // namespace lmtpq::mailer

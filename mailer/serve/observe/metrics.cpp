#include "mailer/serve/observe/metrics.h"

#include <exception>
#include <utility>

#include "common/config_error.h"
#include "common/escape.h"
#include "mailer/serve/observe/metric_family.h"
#include "mailer/serve/observe/outcome_reason.h"

namespace lmtpq::mailer {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

// A series that begins at 1 has no rate for its first event, so what matters most is there from the
// start; what may never happen is there when it has.
void add_counts(MetricFamily& family, const LabelList& labels, const char* name,
                const Counts& counts, std::size_t always) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (i < always || counts[i] > 0) {
      LabelList all = labels;
      all.push_back({name, label_value(counts.word(i))});
      family.add(std::move(all), counts[i]);
    }
  }
}

void add_outcomes(MetricFamily& family, const std::string& destination, const Counters& tally) {
  const auto sent = static_cast<std::size_t>(Fate::kDelivered);
  for (std::size_t fate = 0; fate < tally.outcomes.size(); ++fate) {
    const LabelList labels{{"destination", destination}, {"outcome", kFateNames[fate]}};
    if (fate == sent && destination != CounterRegistry::kNone) {
      family.add(labels, tally.decided(Fate::kDelivered));
    } else if (fate != sent) {
      add_counts(family, labels, "reason", tally.outcomes[fate], 0);
    }
  }
}

void add_tallies(const CounterRegistry& tallies, Families& families) {
  constexpr std::size_t kResultsOfEvery = 5;  // ready, without-tls, unreachable, tls, login
  MetricFamily outcomes =
      counter("lmtpq_deliveries_total",
              "Recipients whose fate was decided: sent, deferred or refused, and why");
  MetricFamily doubles = counter("lmtpq_possible_duplicates_total",
                                 "Recipients deferred whose message the store may have filed");
  MetricFamily phases =
      histogram("lmtpq_delivery_seconds",
                "Per recipient: waited for its turn and a connection, message sent to "
                "the store, store answered");
  MetricFamily dials =
      counter("lmtpq_dials_total", "New connections to a store, and how they ended");
  MetricFamily times = histogram("lmtpq_dial_seconds", "Dial to readiness for mail, or to failure");
  tallies.each([&](const std::string& destination, const Counters& tally) {
    const std::string shown = escaped(destination);
    const LabelList labels{{"destination", shown}};
    const bool real = destination != CounterRegistry::kNone;
    if (destination == CounterRegistry::kOther && !tally.any_decided() &&
        tally.dials.total() == 0) {
      return;  // there are no others
    }
    add_outcomes(outcomes, shown, tally);
    phases.add({{"destination", shown}, {"phase", "waited"}}, tally.waited);
    if (real) {
      doubles.add(labels, tally.possible_duplicates);
      phases.add({{"destination", shown}, {"phase", "sent"}}, tally.sent);
      phases.add({{"destination", shown}, {"phase", "answered"}}, tally.answered);
      add_counts(dials, labels, "result", tally.dials, kResultsOfEvery);
      times.add(labels, tally.dial_time);
    }
  });
  for (MetricFamily* const family : {&outcomes, &doubles, &phases, &dials, &times}) {
    families.push_back(std::move(family->made));
  }
}

void add_own(const DaemonCounters& own, Families& families) {
  const auto plain = [&](const char* name, const char* help, std::uint64_t value) {
    MetricFamily family = counter(name, help);
    family.add({}, value);
    families.push_back(std::move(family.made));
  };
  const auto sorted = [&](const char* name, const char* help, const char* label,
                          const Counts& counts) {
    MetricFamily family = counter(name, help);
    add_counts(family, {}, label, counts, counts.size() - 1);  // all but "other"
    families.push_back(std::move(family.made));
  };
  plain("lmtpq_messages_total", "Messages that clients brought to their end", own.messages);
  plain("lmtpq_message_bytes_total", "Their bytes", own.bytes);
  plain("lmtpq_messages_spooled_total", "Of them, those kept in a file", own.spooled);
  plain("lmtpq_replies_lost_total",
        "Messages whose client was gone before it heard the outcomes, and may bring them again",
        own.reply_lost);
  plain("lmtpq_clients_admitted_total", "Clients that were let in", own.admitted);
  sorted("lmtpq_clients_refused_total", "Clients that were sent away", "reason", own.refused);
  sorted("lmtpq_ignorequota_total", "Recipients by what became of IGNOREQUOTA", "result",
         own.ignorequota);
  sorted("lmtpq_tags_total", "Tags of messages by what they were worth", "verdict", own.tags);
  MetricFamily reloads = counter("lmtpq_reloads_total", "Configurations read again");
  reloads.add({{"result", "good"}}, own.reloads);
  reloads.add({{"result", "failed"}}, own.failed_reloads);
  families.push_back(std::move(reloads.made));
  MetricFamily input =
      histogram("lmtpq_input_seconds", "A message's arrival, from its MAIL to its dot");
  input.add({}, own.input);
  families.push_back(std::move(input.made));
}

void add_pools(const Snapshot& now, Families& families) {
  MetricFamily connections = gauge("lmtpq_pool_connections", "Connections to a store by state");
  MetricFamily limit = gauge("lmtpq_pool_limit", "Connections that there may be");
  MetricFamily waiting = gauge("lmtpq_pool_waiting", "Deliveries that wait for a connection");
  MetricFamily well = gauge("lmtpq_store_well", "0 while the last dial failed");
  for (const Snapshot::Store& store : now.stores) {
    if (store.limit == 0) {
      continue;  // no pool: it is no longer configured
    }
    const auto state = [&](const char* name) {
      return LabelList{{"destination", store.destination}, {"state", name}};
    };
    connections.add(state("leased"), store.leased);
    connections.add(state("idle"), store.idle);
    connections.add(state("dialling"), store.dialling);
    limit.add({{"destination", store.destination}}, store.limit);
    waiting.add({{"destination", store.destination}}, store.waiting);
    well.add({{"destination", store.destination}}, store.well ? 1.0 : 0.0);
  }
  for (MetricFamily* const family : {&connections, &limit, &waiting, &well}) {
    families.push_back(std::move(family->made));
  }
}

void add_present(const Snapshot& now, Families& families) {
  MetricFamily clients =
      gauge("lmtpq_clients", "Connected clients by the listener that they dialled");
  for (const Snapshot::Listener& listener : now.listeners) {
    clients.add({{"listener", listener.address}}, listener.clients);
  }
  MetricFamily most = gauge("lmtpq_clients_limit", "Clients that there may be at once");
  most.add({}, now.most_clients);
  MetricFamily waiters =
      gauge("lmtpq_mailbox_waiting", "Deliveries that wait for a mailbox's turn");
  waiters.add({}, now.mailbox_waiters);
  MetricFamily build = gauge("lmtpq_build_info", "1; the label is the version");
  build.add({{"version", now.version}}, 1.0);
  for (MetricFamily* const family : {&clients, &most, &waiters, &build}) {
    families.push_back(std::move(family->made));
  }
}

}  // namespace

// Called from C, which no exception may reach.
Families Metrics::Collect() const {
  Families families;
  try {
    const Snapshot now = take_snapshot(daemon_);
    add_tallies(daemon_.tallies, families);
    add_own(daemon_.tallies.own(), families);
    add_pools(now, families);
    add_present(now, families);
    for (auto& family : process_metrics(daemon_.started)) {
      families.push_back(std::move(family));
    }
  } catch (const std::exception&) {
    // Out of memory, most likely: what there is so far.
  }
  return families;
}

Endpoint::Endpoint(const std::string& address, const DaemonParts& daemon)
    : metrics_(std::make_shared<Metrics>(daemon)) {
  // One thread answers; a client that says nothing, or reads nothing, holds it this long.
  constexpr const char* kPatience = "2000";  // milliseconds
  try {
    exposer_ = std::make_unique<prometheus::Exposer>(
        std::vector<std::string>{"listening_ports", address, "num_threads", "1",
                                 "enable_keep_alive", "no", "request_timeout_ms", kPatience});
  } catch (const std::exception& error) {
    throw ConfigError("--metrics: " + address + ": " + error.what() +
                      "; expected a free HOST:PORT of this machine");
  }
  exposer_->RegisterCollectable(metrics_);
}

}  // namespace lmtpq::mailer

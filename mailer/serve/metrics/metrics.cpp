#include "mailer/serve/metrics/metrics.h"

#include <exception>
#include <utility>

#include "common/escape.h"
#include "mailer/serve/counters/outcome_reason.h"
#include "mailer/serve/metrics/metric_family.h"

namespace lmtpq::mailer {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

// The first `always` values appear from the start, since a series that begins at 1 has no rate for
// its first event; the others appear when they first happen.
void add_counts(MetricFamily& family, const LabelList& labels, const char* name,
                const LabelCounters& counts, std::size_t always) {
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (i < always || counts[i] > 0) {
      LabelList all = labels;
      all.push_back({name, label_value(counts.value(i))});
      family.add(std::move(all), counts[i]);
    }
  }
}

void add_outcomes(MetricFamily& family, const std::string& destination, const Counters& counters) {
  const auto sent = static_cast<std::size_t>(Fate::kDelivered);
  for (std::size_t fate = 0; fate < counters.outcomes.size(); ++fate) {
    const LabelList labels{{"destination", destination}, {"outcome", kFateNames[fate]}};
    if (fate == sent && destination != CounterRegistry::kNone) {
      family.add(labels, counters.decided(Fate::kDelivered));
    } else if (fate != sent) {
      add_counts(family, labels, "reason", counters.outcomes[fate], 0);
    }
  }
}

void add_destinations(const CounterRegistry& registry, Families& families) {
  constexpr std::size_t kResultsOfEvery = 5;  // ready, without-tls, unreachable, tls, login
  MetricFamily outcomes = counter("lmtpq_deliveries_total",
                                  "Recipients by outcome (sent, deferred, refused) and reason");
  MetricFamily duplicates =
      counter("lmtpq_possible_duplicates_total",
              "Recipients deferred after end of data: the store may have the message");
  MetricFamily phases =
      histogram("lmtpq_delivery_seconds",
                "Time for each recipient, in seconds: waited for the mailbox and a "
                "connection, sent the message, waited for the store's reply (answered)");
  MetricFamily dials = counter("lmtpq_dials_total", "Attempts to connect to a store, by result");
  MetricFamily times = histogram(
      "lmtpq_dial_seconds",
      "Time from the start of a connection attempt until it was ready or failed, in seconds");
  registry.each([&](const std::string& destination, const Counters& counters) {
    const std::string shown = escaped(destination);
    const LabelList labels{{"destination", shown}};
    const bool real = destination != CounterRegistry::kNone;
    if (destination == CounterRegistry::kOther && !counters.any_decided() &&
        counters.dials.total() == 0) {
      return;  // no destination is beyond the limit
    }
    add_outcomes(outcomes, shown, counters);
    phases.add({{"destination", shown}, {"phase", "waited"}}, counters.waited);
    if (real) {
      duplicates.add(labels, counters.possible_duplicates);
      phases.add({{"destination", shown}, {"phase", "sent"}}, counters.sent);
      phases.add({{"destination", shown}, {"phase", "answered"}}, counters.answered);
      add_counts(dials, labels, "result", counters.dials, kResultsOfEvery);
      times.add(labels, counters.dial_time);
    }
  });
  for (MetricFamily* const family : {&outcomes, &duplicates, &phases, &dials, &times}) {
    families.push_back(std::move(family->family));
  }
}

void add_daemon(const DaemonCounters& own, Families& families) {
  const auto plain = [&](const char* name, const char* help, std::uint64_t value) {
    MetricFamily family = counter(name, help);
    family.add({}, value);
    families.push_back(std::move(family.family));
  };
  const auto sorted = [&](const char* name, const char* help, const char* label,
                          const LabelCounters& counts) {
    MetricFamily family = counter(name, help);
    add_counts(family, {}, label, counts, counts.size() - 1);  // all but "other"
    families.push_back(std::move(family.family));
  };
  plain("lmtpq_messages_total", "Messages received from clients completely", own.messages);
  plain("lmtpq_message_bytes_total", "Bytes of these messages", own.bytes);
  plain("lmtpq_messages_spooled_total", "Messages that were kept in a file, not in memory",
        own.spooled);
  plain("lmtpq_replies_lost_total",
        "Messages whose client disconnected before the reply was sent, and may send them again",
        own.reply_lost);
  plain("lmtpq_clients_admitted_total", "Client connections accepted", own.admitted);
  sorted("lmtpq_clients_refused_total", "Client connections refused, by reason", "reason",
         own.refused);
  sorted("lmtpq_ignorequota_total", "Recipients by use of IGNOREQUOTA", "result", own.ignorequota);
  sorted("lmtpq_tags_total", "Tags in messages: valid, or why they were rejected", "verdict",
         own.tags);
  MetricFamily reloads = counter("lmtpq_reloads_total", "Reloads of the configuration, by result");
  reloads.add({{"result", "good"}}, own.reloads);
  reloads.add({{"result", "failed"}}, own.failed_reloads);
  families.push_back(std::move(reloads.family));
  MetricFamily input =
      histogram("lmtpq_input_seconds", "Time from MAIL to end of data, in seconds");
  input.add({}, own.input);
  families.push_back(std::move(input.family));
}

void add_pools(const Snapshot& now, Families& families) {
  MetricFamily connections = gauge("lmtpq_pool_connections", "Connections to a store, by state");
  MetricFamily limit = gauge("lmtpq_pool_limit", "Limit of connections to a store");
  MetricFamily waiting = gauge("lmtpq_pool_waiting", "Deliveries waiting for a connection");
  MetricFamily up =
      gauge("lmtpq_store_up", "1 if the last attempt to connect succeeded, 0 if it failed");
  for (const StoreStatus& store : now.stores) {
    if (store.limit == 0) {
      continue;  // no pool
    }
    const auto state = [&](const char* name) {
      return LabelList{{"destination", store.destination}, {"state", name}};
    };
    connections.add(state("leased"), store.leased);
    connections.add(state("idle"), store.idle);
    connections.add(state("dialling"), store.dialling);
    limit.add({{"destination", store.destination}}, store.limit);
    waiting.add({{"destination", store.destination}}, store.waiting);
    up.add({{"destination", store.destination}}, store.up ? 1.0 : 0.0);
  }
  for (MetricFamily* const family : {&connections, &limit, &waiting, &up}) {
    families.push_back(std::move(family->family));
  }
}

void add_present(const Snapshot& now, Families& families) {
  MetricFamily clients = gauge("lmtpq_clients", "Connected clients, by listener");
  for (const ListenerStatus& listener : now.listeners) {
    clients.add({{"listener", listener.address}}, listener.clients);
  }
  MetricFamily most = gauge("lmtpq_clients_limit", "Limit of connected clients");
  most.add({}, now.most_clients);
  MetricFamily waiters =
      gauge("lmtpq_mailbox_waiting", "Deliveries waiting for a mailbox (mailbox-limit)");
  waiters.add({}, now.mailbox_waiters);
  MetricFamily build = gauge("lmtpq_build_info", "Always 1; the label has the version");
  build.add({{"version", now.version}}, 1.0);
  for (MetricFamily* const family : {&clients, &most, &waiters, &build}) {
    families.push_back(std::move(family->family));
  }
}

}  // namespace

// Called from C code, which an exception must not reach.
Families Metrics::Collect() const {
  Families families;
  try {
    const Snapshot now = take_snapshot(daemon_);
    add_destinations(daemon_.counters, families);
    add_daemon(daemon_.counters.own(), families);
    add_pools(now, families);
    add_present(now, families);
    for (auto& family : process_metrics(daemon_.started)) {
      families.push_back(std::move(family));
    }
  } catch (const std::exception&) {
    // Out of memory, most likely: the families so far are shown.
  }
  return families;
}

}  // namespace lmtpq::mailer

#include "mailer/serve/metrics/metrics.h"

#include <exception>
#include <utility>

#include "common/escape.h"
#include "mailer/serve/counters/outcome_reason.h"
#include "mailer/serve/metrics/metric_family.h"
#include "mailer/settings/build_features.h"

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
  MetricFamily outcomes = counter(metric_names::kDeliveries);
  MetricFamily duplicates = counter(metric_names::kPossibleDuplicates);
  MetricFamily phases = histogram(metric_names::kDelivery);
  MetricFamily dials = counter(metric_names::kDials);
  MetricFamily times = histogram(metric_names::kDial);
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
  const auto plain = [&](const MetricName& name, std::uint64_t value) {
    MetricFamily family = counter(name);
    family.add({}, value);
    families.push_back(std::move(family.family));
  };
  const auto sorted = [&](const MetricName& name, const char* label, const LabelCounters& counts) {
    MetricFamily family = counter(name);
    add_counts(family, {}, label, counts, counts.size() - 1);  // all but "other"
    families.push_back(std::move(family.family));
  };
  plain(metric_names::kMessages, own.messages);
  plain(metric_names::kMessageBytes, own.bytes);
  plain(metric_names::kMessagesSpooled, own.spooled);
  plain(metric_names::kRepliesLost, own.reply_lost);
  plain(metric_names::kClientsAdmitted, own.admitted);
  sorted(metric_names::kClientsRefused, "reason", own.refused);
  sorted(metric_names::kIgnorequota, "result", own.ignorequota);
  sorted(metric_names::kReliefs, "kind", own.reliefs);
  sorted(metric_names::kTags, "verdict", own.tags);
  MetricFamily reloads = counter(metric_names::kReloads);
  reloads.add({{"result", "good"}}, own.reloads);
  reloads.add({{"result", "failed"}}, own.failed_reloads);
  families.push_back(std::move(reloads.family));
  MetricFamily input = histogram(metric_names::kInput);
  input.add({}, own.input);
  families.push_back(std::move(input.family));
}

void add_pools(const Snapshot& now, Families& families) {
  MetricFamily connections = gauge(metric_names::kPoolConnections);
  MetricFamily limit = gauge(metric_names::kPoolLimit);
  MetricFamily waiting = gauge(metric_names::kPoolWaiting);
  MetricFamily up = gauge(metric_names::kStoreUp);
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
  MetricFamily clients = gauge(metric_names::kClients);
  for (const ListenerStatus& listener : now.listeners) {
    clients.add({{"listener", listener.address}}, listener.clients);
  }
  MetricFamily most = gauge(metric_names::kClientsLimit);
  most.add({}, now.most_clients);
  MetricFamily waiters = gauge(metric_names::kMailboxWaiting);
  waiters.add({}, now.mailbox_waiters);
  MetricFamily dropped = counter(metric_names::kLogLinesDropped);
  dropped.add({}, now.log_lines_dropped);
  MetricFamily build = gauge(metric_names::kBuildInfo);
  build.add({{"version", now.version}, {"features", built_in_features()}}, 1.0);
  for (MetricFamily* const family : {&clients, &most, &waiters, &dropped, &build}) {
    families.push_back(std::move(family->family));
  }
}

void add_memory(const MemoryBudget& memory, Families& families) {
  MetricFamily used = gauge(metric_names::kMemory);
  used.add({}, memory.used());
  MetricFamily limit = gauge(metric_names::kMemoryLimit);
  limit.add({}, memory.limit());
  MetricFamily refused = counter(metric_names::kMemoryRefused);
  refused.add({}, memory.refused());
  for (MetricFamily* const family : {&used, &limit, &refused}) {
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
    add_memory(daemon_.memory, families);
    for (auto& family : process_metrics(daemon_.started)) {
      families.push_back(std::move(family));
    }
  } catch (const std::exception&) {
    // Out of memory, most likely: the families so far are shown.
  }
  return families;
}

}  // namespace lmtpq::mailer

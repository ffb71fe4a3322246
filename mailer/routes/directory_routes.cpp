#include "mailer/routes/directory_routes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/config_error.h"
#include "mailer/io/waiting.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kMaxValue = 1024;
constexpr std::size_t kMaxDestinations = 16;

Outcome no_route(const std::string& reason) { return outcome_of(Trouble::kUnrouted, reason); }

Route route_of_values(std::vector<std::string> values) {
  // The values of an attribute have no order (RFC 4512 section 2.2): make one.
  std::sort(values.begin(), values.end());
  std::vector<Destination> destinations;
  for (const std::string& value : values) {
    if (value.size() > kMaxValue) {
      return no_route("a value in the directory is longer than 1024 bytes");
    }
    try {
      const std::vector<Destination> named = parse_named_destinations(value);
      if (named.empty()) {
        return no_route("a value in the directory names no DEST");
      }
      destinations.insert(destinations.end(), named.begin(), named.end());
    } catch (const ConfigError& error) {
      return no_route(std::string("in the directory: ") + error.what());
    }
  }
  if (destinations.size() > kMaxDestinations) {
    return no_route("the directory names more than 16 stores for one recipient");
  }
  return std::make_shared<const std::vector<Destination>>(std::move(destinations));
}

Route route_of(const std::vector<std::vector<std::string>>& entries) {
  const std::vector<std::string>* named = nullptr;
  for (const std::vector<std::string>& values : entries) {
    if (values.empty()) {
      continue;
    }
    if (named != nullptr &&
        !std::is_permutation(named->begin(), named->end(), values.begin(), values.end())) {
      return no_route("two entries of the directory name different stores");
    }
    named = &values;
  }
  return named == nullptr ? DefaultRoute() : route_of_values(*named);
}

bool found(const Route& route) { return !std::holds_alternative<DefaultRoute>(route); }

}  // namespace

DirectoryRoutes::DirectoryRoutes(const DirectorySettings& settings, OpenDirectory open,
                                 const Log& log, CuttableWork& look_ups,
                                 DirectoryPool::Limits limits, Now now)
    : settings_(settings),
      filter_(settings.filter),
      log_(log),
      now_(now),
      look_ups_(look_ups),
      pool_(std::make_shared<DirectoryPool>(std::move(open), log, limits, std::move(now))),
      cache_(settings.cache_size) {}

Route DirectoryRoutes::find(const Mailbox& recipient) {
  return std::move(find_all({&recipient}).front());
}

std::vector<Route> DirectoryRoutes::find_all(const Mailboxes& recipients) {
  std::vector<Route> routes(recipients.size());
  Deadline latest = pool_->deadline();
  for (const Step step : {Step::kAddress, Step::kWithoutDetail, Step::kDomain}) {
    Filters questions;
    std::map<std::string, std::vector<std::size_t>> asking;
    for (std::size_t i = 0; i < recipients.size(); ++i) {
      pace();
      const auto question =
          found(routes[i]) ? std::nullopt : question_of(RouteAddress(*recipients[i]), step);
      if (!question) {
        continue;
      }
      std::vector<std::size_t>& places = asking[*question];
      if (places.empty()) {
        questions.push_back(*question);
      }
      places.push_back(i);
    }
    const std::vector<Route> answers = look_up(questions, latest);
    for (std::size_t k = 0; k < questions.size(); ++k) {
      for (const std::size_t place : asking[questions[k]]) {
        routes[place] = answers[k];
      }
    }
  }
  return routes;
}

std::optional<std::string> DirectoryRoutes::question_of(const RouteAddress& address,
                                                        Step step) const {
  switch (step) {
    case Step::kAddress:
      return filter_.fill_in(address.local, address.domain);
    case Step::kWithoutDetail:
      return address.has_detail() ? filter_.fill_in(address.user, address.domain) : std::nullopt;
    case Step::kDomain:
      break;
  }
  return address.domain.empty() ? std::nullopt : filter_.fill_in("", address.domain);
}

std::vector<Directory::Result> DirectoryRoutes::search(const Filters& filters, Deadline& latest) {
  struct LookUp {
    Filters filters;
    Deadline latest;
    std::vector<Directory::Result> results;
  };
  const auto one = std::make_shared<LookUp>(LookUp{filters, latest, {}});
  if (!look_ups_.run(
          [one, pool = pool_] { one->results = pool->search(one->filters, one->latest); })) {
    return {filters.size(), {Directory::Result::Kind::kLost, {}, "lmtpq is stopping"}};
  }
  latest = one->latest;
  return std::move(one->results);
}

// The answers to all of them; what is not cached is asked at once.
std::vector<Route> DirectoryRoutes::look_up(const Filters& questions, Deadline& latest) {
  std::vector<Route> routes(questions.size());
  Filters unknown;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    pace();
    auto known = cache_.find(questions[i], now_());
    if (known && known->age == RouteCache::Age::kFresh) {
      routes[i] = std::move(known->route);
    } else {
      unknown.push_back(questions[i]);
      places.push_back(i);
    }
  }
  if (!unknown.empty()) {
    const std::vector<Directory::Result> results = search(unknown, latest);
    for (std::size_t k = 0; k < unknown.size(); ++k) {
      pace();
      routes[places[k]] = route_for(unknown[k], results[k]);
    }
  }
  return routes;
}

Route DirectoryRoutes::route_for(const std::string& question, const Directory::Result& result) {
  using Kind = Directory::Result::Kind;
  if (result.kind != Kind::kFound && result.kind != Kind::kRefused) {
    // The pool has logged it, once for many.
    return stale_or(question, no_route(result.error));
  }
  Route route =
      result.kind == Kind::kFound ? route_of(result.entries) : Route(no_route(result.error));
  if (const auto* const outcome = std::get_if<Outcome>(&route)) {
    log_.warning(Record("route-lookup-failed").add("search", question).add("error", outcome->text));
  }
  remember(question, route);
  return route;
}

Route DirectoryRoutes::stale_or(const std::string& question, Outcome failure) {
  if (auto known = cache_.find(question, now_())) {
    return std::move(known->route);
  }
  return failure;
}

void DirectoryRoutes::remember(const std::string& question, const Route& route) {
  const Clock::time_point now = now_();
  // Only answers that name a store may be used longer: an old answer without one would bounce mail
  // for a mailbox that was created since.
  const bool names_store = std::holds_alternative<DestinationList>(route);
  const auto fresh = now + (names_store ? settings_.cache : settings_.negative_cache);
  cache_.put(question, route, fresh, names_store ? fresh + settings_.stale : fresh);
}

}  // namespace lmtpq::mailer

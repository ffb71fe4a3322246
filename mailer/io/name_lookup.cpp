#include "mailer/io/name_lookup.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "common/network/network.h"

namespace lmtpq::mailer {
namespace {

using Name = std::pair<std::string, std::string>;  // host and port

// One look-up, and those that wait for it.
struct Lookup {
  std::condition_variable done;
  std::optional<Addresses> found;
  Clock::time_point ended;
};

// Never destroyed: a look-up may still run when the process ends.
struct Lookups {
  std::mutex mutex;
  std::map<Name, std::shared_ptr<Lookup>> by_name;  // running, or failed a moment ago
};
Lookups& lookups() {
  static Lookups& all = *new Lookups;
  return all;
}

int ask(const Name& name, int flags, Addresses& found) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  const int status = getaddrinfo(name.first.c_str(), name.second.c_str(), &hints, &list);
  if (status == 0) {
    found.list = std::shared_ptr<const addrinfo>(list, [](addrinfo* all) { freeaddrinfo(all); });
  }
  return status;
}

Addresses resolve(const Name& name) {
  Addresses found;
  const int status = ask(name, 0, found);
  if (status != 0) {
    found.failure = "look-up of " + bracketed(name.first) + " port " + name.second + ": " +
                    gai_strerror(status);
    found.unknown = status == EAI_AGAIN || status == EAI_SYSTEM || status == EAI_MEMORY;
  }
  return found;
}

void finish(const Name& name, const std::shared_ptr<Lookup>& lookup, Addresses found) {
  Lookups& all = lookups();
  const std::lock_guard lock(all.mutex);
  if (found.list) {
    all.by_name.erase(name);
  }
  lookup->found = std::move(found);
  lookup->ended = Clock::now();
  lookup->done.notify_all();
}

std::shared_ptr<Lookup> begin(const Name& name) {
  auto lookup = std::make_shared<Lookup>();
  lookups().by_name[name] = lookup;
  try {
    std::thread([name, lookup] { finish(name, lookup, resolve(name)); }).detach();
  } catch (const std::system_error& error) {
    lookups().by_name.erase(name);
    lookup->found =
        Addresses{nullptr, std::string("no thread for the look-up: ") + error.what(), true};
  }
  return lookup;
}

Addresses await_lookup(const Name& name, const Patience& patience) {
  Lookups& all = lookups();
  std::unique_lock lock(all.mutex);
  std::shared_ptr<Lookup> lookup;
  if (const auto known = all.by_name.find(name); known != all.by_name.end()) {
    const bool over = known->second->found && Clock::now() - known->second->ended >= kFailureKept;
    lookup = over ? nullptr : known->second;
  }
  if (!lookup) {
    lookup = begin(name);
  }
  const auto ended = [&] { return lookup->found.has_value(); };
  if (!patience.wait([&](Deadline look) { return lookup->done.wait_until(lock, look, ended); })) {
    return {nullptr,
            "look-up of " + bracketed(name.first) +
                (patience.is_given_up() ? " was given up" : " timed out"),
            true};
  }
  return *lookup->found;
}

}  // namespace

Addresses look_up(const std::string& host, const std::string& port, const Patience& patience) {
  const Name name(host, port);
  Addresses numeric;
  if (ask(name, AI_NUMERICHOST, numeric) == 0) {
    return numeric;
  }
  Addresses found;
  run_blocking([&] { found = await_lookup(name, patience); });
  return found;
}

}  // namespace lmtpq::mailer

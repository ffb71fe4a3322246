#include "mailer/serve/listeners/clients.h"

#include <sys/socket.h>

#include <array>
#include <exception>
#include <optional>
#include <utility>

#include "mailer/delivery/lmtp_session.h"
#include "mailer/io/descriptor_channel.h"

namespace lmtpq::mailer {
namespace {

// How long a client may take to close after we have ended our side.
constexpr std::chrono::seconds kLinger{2};

ServerLimits limits_for(const Client& client, const std::string& address, const Settings& settings,
                        MemoryBudget* memory) {
  ServerLimits limits = server_limits(settings);
  limits.mark = listener_mark(address);
  limits.max_idle_commands = settings.serve.max_idle_commands;
  limits.memory = memory;
  limits.offers.add(Offer::kLimits);
  const bool over_tcp = client.address.has_value();
  if (settings.serve.listener.offers_pipelining.value_or(over_tcp)) {
    limits.offers.add(Offer::kPipelining);
  }
  if (settings.serve.listener.trusted.contains(client)) {
    limits.offers.add(Offer::kIgnoreQuota);
    limits.offers.add(Offer::kTrace);
  }
  return limits;
}

bool allows(const Listener& listener, const Client& client) {
  const ClientList& clients = listener.settings.serve.listener.clients;
  return clients.empty() ? !client.address || client.on_loopback() : clients.contains(client);
}

Objection not_allowed(const Client& client) {
  return {{4, 7, 1}, client.text() + " is not among this listener's clients"};
}

Objection too_many_of(const Client& client) {
  return {{4, 7, 0}, "Too many connections from " + client.text() + ", try again later"};
}

const Objection kGone{{4, 3, 2}, "No longer served here"};
const Objection kNoRoom{{4, 3, 2}, "No room for another connection, try again later"};

}  // namespace

Clients::Clients(const CurrentConfiguration& current, const Log& log, DeliveryServices services,
                 std::size_t threads)
    : current_(current), log_(log), services_(services) {
  for (std::size_t i = 0; i < threads; ++i) {
    reactors_.push_back(std::make_unique<Reactor>());
  }
}

// Why this client is not served; nullopt: it is. The caller holds mutex_.
std::optional<Clients::Refusal> Clients::refusal(const Client& client,
                                                 const Listener& listener) const {
  const ServeSettings& own = listener.settings.serve;
  if (draining_) {
    return Refusal{ClientRefusal::kStopping, {{4, 3, 2}, "Shutting down, try again later"}};
  }
  if (!allows(listener, client)) {
    return Refusal{ClientRefusal::kNotAllowed, not_allowed(client)};
  }
  if (entries_.size() >= own.max_clients) {
    return Refusal{ClientRefusal::kTooMany, {{4, 3, 2}, "Too many connections, try again later"}};
  }
  const auto same = by_client_.find(client.text());
  if (own.max_clients_each > 0 && same != by_client_.end() &&
      same->second >= own.max_clients_each) {
    return Refusal{ClientRefusal::kTooManyOfOne, too_many_of(client)};
  }
  return {};
}

// Of a client that is served; `trusted`: so it was told after LHLO.
std::optional<Clients::Refusal> Clients::refusal_now(const Entry& entry, const Listener* listener,
                                                     bool trusted) const {
  const Client& client = entry.client;
  if (listener == nullptr) {
    return Refusal{ClientRefusal::kStopping, kGone};
  }
  if (!allows(*listener, client)) {
    return Refusal{ClientRefusal::kNotAllowed, not_allowed(client)};
  }
  const ServeSettings& own = listener->settings.serve;
  if (trusted && !own.listener.trusted.contains(client)) {
    return Refusal{
        ClientRefusal::kNotTrusted,
        {{4, 7, 1}, client.text() + " may no longer use IGNOREQUOTA and TRACE, connect again"}};
  }
  const std::lock_guard lock(mutex_);
  if (own.max_clients_each > 0 && by_client_.at(client.text()) > own.max_clients_each) {
    return Refusal{ClientRefusal::kTooManyOfOne, too_many_of(client)};
  }
  return {};
}

std::optional<Objection> Clients::judge(const Entry& entry, bool trusted, ListenerDelivery& agent) {
  const std::shared_ptr<const Configuration> configuration = current_.get();
  if (const auto refusal = refusal_now(entry, configuration->listener(entry.address), trusted)) {
    report(*refusal, entry.client, entry.address);
    return refusal->objection;
  }
  agent.begin(configuration);
  return {};
}

void Clients::report(const Refusal& refusal, const Client& client, const std::string& address) {
  const Objection& objection = refusal.objection;
  log_.warning(Record("client-refused")
                   .add("client", client.text())
                   .add("listener", address)
                   .add("reply", "421 " + objection.status.text() + ' ' + objection.text),
               Outsider{client.text()});
  if (services_.events != nullptr) {
    services_.events->client_refused(refusal.reason);
  }
}

void Clients::refuse(const Descriptor& socket, const Client& client, const std::string& address,
                     const Refusal& refusal) {
  const std::string line = reply_line(421, refusal.objection.status, refusal.objection.text);
  send(socket.number(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  // Nothing waits here. A client that speaks first gets the reply unless it is still writing.
  std::array<char, 4096> unread;
  recv(socket.number(), unread.data(), unread.size(), MSG_DONTWAIT);
  report(refusal, client, address);
}

// On success `entry` is its entry, and its memory is taken; both until leave().
std::optional<Clients::Refusal> Clients::enter(const Client& client, const Listener& listener,
                                               int socket, const std::string& address,
                                               Entries::iterator& entry) {
  const std::lock_guard lock(mutex_);
  std::optional<Refusal> refused = refusal(client, listener);
  if (!refused && services_.memory != nullptr &&
      !services_.memory->take(MemoryCost::kClient, MemoryBudget::Use::kClient)) {
    refused = {ClientRefusal::kNoRoom, kNoRoom};
  }
  if (!refused) {
    entry = entries_.insert(entries_.end(), {socket, client, address});
    ++by_client_[client.text()];
  }
  return refused;
}

void Clients::admit(Descriptor socket, const Client& client, const std::string& address) {
  std::shared_ptr<const Configuration> configuration = current_.get();
  const Listener* const listener = configuration->listener(address);
  std::optional<Refusal> refused;
  if (listener == nullptr) {
    refused = {ClientRefusal::kStopping, kGone};
  }
  Entries::iterator entry;
  if (listener != nullptr) {
    refused = enter(client, *listener, socket.number(), address, entry);
  }
  if (refused) {
    refuse(socket, client, address, *refused);
    return;
  }
  if (services_.events != nullptr) {
    services_.events->client_admitted();
  }
  start(std::move(socket), entry, std::move(configuration));
}

void Clients::start(Descriptor socket, Entries::iterator entry,
                    std::shared_ptr<const Configuration> configuration) {
  // On the heap: start() may throw after it moved from its argument.
  auto shared = std::make_shared<Descriptor>(std::move(socket));
  try {
    reactors_[next_++ % reactors_.size()]->start(
        [this, shared, entry, configuration = std::move(configuration)]() mutable {
          serve(std::move(*shared), entry, std::move(configuration));
        });
  } catch (const std::exception& error) {
    refuse(*shared, entry->client, entry->address, {ClientRefusal::kNoRoom, kNoRoom});
    log_.error(Record("client-not-started")
                   .add("client", entry->client.text())
                   .add("listener", entry->address)
                   .add("error", error.what())
                   .add("effect", "the client was refused"),
               Outsider{entry->client.text()});
    leave(entry);
  }
}

void Clients::serve(Descriptor socket, Entries::iterator entry,
                    std::shared_ptr<const Configuration> configuration) {
  std::optional<DescriptorChannel> channel;
  try {
    channel.emplace(std::move(socket), DescriptorChannel::Order::kWriteFirst);
    const Settings& settings = configuration->listener(entry->address)->settings;
    ListenerDelivery agent(current_, entry->address, log_, services_);
    ServerLimits limits = limits_for(entry->client, entry->address, settings, services_.memory);
    limits.judge = [this, entry, &agent, trusted = limits.offers.has(Offer::kIgnoreQuota)] {
      return judge(*entry, trusted, agent);
    };
    LmtpSession session(*channel, settings, std::move(limits), agent, log_,
                        [this] { return draining(); }, {entry->client.text(), entry->address});
    configuration.reset();  // with the settings: the client may stay for days
    if (session.run() == LmtpSession::End::kToldToStop) {
      session.send_421();
    }
  } catch (const std::exception& error) {
    log_.error(Record("session-failed")
                   .add("client", entry->client.text())
                   .add("listener", entry->address)
                   .add("error", error.what())
                   .add("effect", "the client's session ended"),
               Outsider{entry->client.text()});
  }
  if (channel) {
    channel->linger(Clock::now() + kLinger);
  }
  leave(entry);  // before the socket closes: cut() must not use its number for the next owner
}

void Clients::leave(Entries::iterator entry) {
  const std::lock_guard lock(mutex_);
  const auto same = by_client_.find(entry->client.text());
  if (--same->second == 0) {
    by_client_.erase(same);
  }
  entries_.erase(entry);
  if (services_.memory != nullptr) {
    services_.memory->give_back(MemoryCost::kClient);
  }
  left_.notify_all();
}

std::size_t Clients::count() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::map<std::string, std::size_t> Clients::count_by_listener() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::size_t> counts;
  for (const Entry& entry : entries_) {
    ++counts[entry.address];
  }
  return counts;
}

bool Clients::wait(Deadline deadline) {
  for (const auto& reactor : reactors_) {
    reactor->interrupt_waits();
  }
  std::unique_lock lock(mutex_);
  return left_.wait_until(lock, deadline, [&] { return entries_.empty(); });
}

void Clients::shut_down(int how) {
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) {
    shutdown(entry.socket, how);
  }
}

void Clients::cut() { shut_down(SHUT_RD); }

void Clients::disconnect() { shut_down(SHUT_RDWR); }

}  // namespace lmtpq::mailer

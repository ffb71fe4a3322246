#include "mailer/serve/listeners/clients.h"

#include <sys/socket.h>

#include <exception>
#include <optional>
#include <utility>

#include "mailer/delivery/session.h"
#include "mailer/io/descriptor_channel.h"
#include "mailer/serve/configuration/listener_delivery.h"

namespace lmtpq::mailer {
namespace {

ServerLimits limits_for(const Client& client, const Settings& settings) {
  ServerLimits limits = server_limits(settings);
  limits.max_idle_commands = settings.serve.max_idle_commands;
  if (settings.serve.listener.offers_pipelining) {
    limits.offers.add(Offer::kPipelining);
  }
  if (settings.serve.listener.trusted.contains(client)) {
    limits.offers.add(Offer::kIgnoreQuota);
    limits.offers.add(Offer::kTrace);
  }
  return limits;
}

}  // namespace

Clients::Clients(const CurrentConfiguration& present, const Log& log, Shared shared,
                 std::size_t threads)
    : present_(present), log_(log), shared_(shared) {
  for (std::size_t i = 0; i < threads; ++i) {
    reactors_.push_back(std::make_unique<Reactor>());
  }
}

// Why this client is not served; none: he is. Held: mutex_.
std::optional<Clients::Objection> Clients::objection(const Client& client, const Door& door) const {
  const ServeSettings& own = door.listener->settings.serve;
  if (draining_) {
    return Objection{Dismissal::kStopping, "421 4.3.2 Shutting down, try again later"};
  }
  const bool allowed = own.listener.clients.empty() ? !client.address || client.on_loopback()
                                                    : own.listener.clients.contains(client);
  if (!allowed) {
    return Objection{Dismissal::kNotAllowed,
                     "421 4.7.1 " + client.text() + " is not among this listener's clients"};
  }
  if (entries_.size() >= own.max_clients) {
    return Objection{Dismissal::kTooMany, "421 4.3.2 Too many connections, try again later"};
  }
  const auto same = by_client_.find(client.text());
  if (own.max_clients_each > 0 && same != by_client_.end() &&
      same->second >= own.max_clients_each) {
    return Objection{Dismissal::kTooManyOfOne,
                     "421 4.7.0 Too many connections from " + client.text() + ", try again later"};
  }
  return {};
}

void Clients::refuse(const Descriptor& socket, const Client& client, const std::string& address,
                     const Objection& objection) {
  const std::string line = objection.reply + "\r\n";
  send(socket.number(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  log_.warning(Record("client-refused")
                   .add("client", client.text())
                   .add("listener", address)
                   .add("refused", objection.reply));
  if (shared_.meter != nullptr) {
    shared_.meter->client_refused(objection.kind);
  }
}

void Clients::admit(Descriptor socket, const Client& client, const std::string& address) {
  std::shared_ptr<const Configuration> site = present_.get();
  const Door* const door = site->door(address);
  std::optional<Objection> reason;
  if (door == nullptr) {
    reason = {Dismissal::kStopping, "421 4.3.2 No longer served here"};
  }
  Entries::iterator entry;
  if (door != nullptr) {
    const std::lock_guard lock(mutex_);
    reason = objection(client, *door);
    if (!reason) {
      entry = entries_.insert(entries_.end(), {socket.number(), client, address});
      ++by_client_[client.text()];
    }
  }
  if (reason) {
    refuse(socket, client, address, *reason);
    return;
  }
  if (shared_.meter != nullptr) {
    shared_.meter->client_admitted();
  }
  start(std::move(socket), entry, std::move(site));
}

void Clients::start(Descriptor socket, Entries::iterator entry,
                    std::shared_ptr<const Configuration> site) {
  // On the heap: start() may throw after it moved from what it was given.
  auto shared = std::make_shared<Descriptor>(std::move(socket));
  try {
    reactors_[next_++ % reactors_.size()]->start(
        [this, shared, entry, site] { serve(std::move(*shared), entry, site); });
  } catch (const std::exception& error) {
    refuse(*shared, entry->client, entry->address,
           {Dismissal::kNoRoom, "421 4.3.2 No room for another connection, try again later"});
    log_.error(
        Record("client-failed").add("error", error.what()).add("effect", "a client was sent away"));
    leave(entry);
  }
}

void Clients::serve(Descriptor socket, Entries::iterator entry,
                    std::shared_ptr<const Configuration> site) {
  std::optional<DescriptorChannel> channel;
  try {
    channel.emplace(std::move(socket));
    channel->write_first();
    const Settings& settings = site->door(entry->address)->listener->settings;
    ListenerDelivery carrier(present_, site, entry->address, log_, shared_);
    Session session(*channel, settings, limits_for(entry->client, settings), carrier, log_,
                    [this] { return draining(); });
    if (session.run() == Session::End::kToldToStop) {
      session.say_goodbye();
    }
  } catch (const std::exception& error) {
    log_.error(Record("session-failed")
                   .add("error", error.what())
                   .add("effect", "a client's session ended"));
  }
  leave(entry);  // before the socket closes: cut() must not meet its number's next owner
}

void Clients::leave(Entries::iterator entry) {
  const std::lock_guard lock(mutex_);
  const auto same = by_client_.find(entry->client.text());
  if (--same->second == 0) {
    by_client_.erase(same);
  }
  entries_.erase(entry);
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
    reactor->look_up();
  }
  std::unique_lock lock(mutex_);
  return left_.wait_until(lock, deadline, [&] { return entries_.empty(); });
}

void Clients::cut() {
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) {
    shutdown(entry.socket, SHUT_RD);
  }
}

}  // namespace lmtpq::mailer

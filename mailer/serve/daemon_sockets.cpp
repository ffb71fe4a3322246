// The sockets of the daemon's listeners: opened, passed by systemd, lost.

#include <utility>

#include "common/config_error.h"
#include "common/shortage.h"
#include "mailer/serve/daemon.h"
#include "mailer/serve/running_daemon.h"

namespace lmtpq::mailer {
namespace {

std::vector<PassedSocket> passed_of(const Daemon::Sockets& sockets) {
  std::vector<PassedSocket> made;
  for (const auto& [address, socket] : sockets) {
    if (socket->passed()) {
      made.push_back(socket->passed());
    }
  }
  return made;
}

// Of a socket that is not made, but was there before.
void check_owner(const Destination& address, const ListenerOptions& settings) {
  if (address.family == Destination::Family::kUnix) {
    at_place("listener " + address.text,
             [&] { at_place("listen-owner", [&] { access_of(settings); }); });
  }
}

}  // namespace

Daemon::OpenBefore Daemon::open_before() const {
  OpenBefore made{{}, passed_};
  for (const auto& [address, socket] : sockets_) {
    made.sockets.emplace(address, socket->passed());
  }
  return made;
}

Daemon::Sockets Daemon::open_sockets(const DaemonSettings& settings,
                                     const OpenBefore& before) const {
  Sockets made;
  std::vector<PassedSocket> used;
  std::vector<const ListenerSettings*> missing;
  for (const ListenerSettings& listener : settings.listeners) {
    const auto open = before.sockets.find(listener.address.text);
    if (open == before.sockets.end()) {
      missing.push_back(&listener);
      continue;
    }
    made[listener.address.text] = nullptr;
    if (open->second) {
      used.push_back(open->second);
    } else {
      check_owner(listener.address, listener.settings.serve.listener);
    }
  }
  const std::vector<PassedSocket> passed =
      before.passed.assign(missing, std::move(used), [this] { return signals_.stopped(); });
  for (std::size_t i = 0; i < missing.size(); ++i) {
    const Destination& address = missing[i]->address;
    made[address.text] = passed[i] ? std::make_shared<ListeningSocket>(address, passed[i])
                                   : open_listener(*missing[i]);
  }
  return made;
}

std::shared_ptr<ListeningSocket> Daemon::open_listener(const ListenerSettings& listener) const {
  try {
    return open_socket(listener.address, listener.settings.serve.listener);
  } catch (const ConfigError& error) {
    throw ConfigError(std::string("listener ") + error.what());
  } catch (const Shortage& shortage) {
    throw Shortage(std::string("listener ") + shortage.what());
  }
}

std::shared_ptr<ListeningSocket> Daemon::open_socket(const Destination& address,
                                                     const ListenerOptions& settings) const {
  if (predecessor_ != nullptr) {
    if (auto handed = predecessor_->socket(address.text)) {
      check_owner(address, settings);
      return std::make_shared<ListeningSocket>(address, std::move(*handed));
    }
  }
  return std::make_shared<ListeningSocket>(address, settings,
                                           [this] { return signals_.stopped(); });
}

std::unique_ptr<ControlSocket> Daemon::make_control(const Settings& process) const {
  return at_place(process.places.of("control"), [&] {
    return std::make_unique<ControlSocket>(running_->parts, process.serve.control, opener(),
                                           running_->log);
  });
}

std::unique_ptr<MetricsEndpoint> Daemon::make_metrics(const Settings& process) const {
  const std::string& address = process.serve.metrics;
  if (address.empty()) {
    return nullptr;
  }
  return at_place(process.places.of("metrics"), [&] {
    return std::make_unique<MetricsEndpoint>(address, opener(), running_->parts);
  });
}

OpenSocket Daemon::opener() const {
  return [this](const Destination& address, const ListenerOptions& settings) {
    return open_socket(address, settings);
  };
}

std::vector<std::shared_ptr<ListeningSocket>> Daemon::listening() const {
  std::vector<std::shared_ptr<ListeningSocket>> made;
  for (const auto& [address, socket] : sockets_) {
    made.push_back(socket);
  }
  return made;
}

void Daemon::refuse_unused_sockets() const {
  std::string texts;
  for (const std::string& text : passed_.left(passed_of(sockets_))) {
    texts += (texts.empty() ? "" : ", ") + text;
  }
  if (!texts.empty()) {
    throw ConfigError(
        "systemd passed sockets that no listener has: " + texts +
        "; add a [listener.NAME] with this address, or remove the socket from its unit");
  }
}

void Daemon::warn_of_unused_sockets() const {
  for (const std::string& text : passed_.left(passed_of(sockets_))) {
    running_->log.warning(
        Record("socket-unused")
            .add("socket", text)
            .add("effect", "clients that connect to it wait")
            .add("remedy", "add a [listener.NAME] with this address, or remove the socket unit"));
  }
}

void Daemon::warn_of_socket_options(const DaemonSettings& settings) const {
  for (const ListenerSettings& listener : settings.listeners) {
    const std::string& address = listener.address.text;
    for (const char* option : sockets_.at(address)->changed(listener.settings.serve.listener)) {
      running_->log.warning(restart_needed(option).add("listener", address));
    }
  }
}

void Daemon::restore_sockets() {
  bool any = false;
  for (const auto& [address, socket] : sockets_) {
    any = socket->restore(running_->log) || any;
  }
  if (any) {
    running_->acceptor->use(listening());  // it polls the former ones
  }
  if (running_->metrics) {
    running_->metrics->restore(running_->log);
  }
}

}  // namespace lmtpq::mailer

#include "mailer/serve/check/listening_check.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "common/descriptor.h"
#include "common/network/listening_address.h"
#include "common/network/network.h"
#include "common/network/unix_socket.h"
#include "mailer/serve/configuration/own_listeners.h"
#include "mailer/serve/listeners/listening_socket.h"

namespace lmtpq::mailer {
namespace {

using Found = std::shared_ptr<const addrinfo>;  // nullptr: a unix socket, or nothing was found

bool is_unix(const Destination& address) { return address.family == Destination::Family::kUnix; }

// One of the addresses of the configuration.
struct Opened {
  std::string place;  // "FILE:LINE: control"
  std::string name;   // "[listener.NAME] (FILE:LINE)"
  Destination address;
  Found found = nullptr;
  bool may_fail = false;  // the daemon starts without it
};

void report(const Opened& opened, Findings& findings, const std::function<void()>& action) {
  try {
    at_place(opened.place, action);
  } catch (const ConfigError& error) {
    opened.may_fail ? findings.warning(error.what()) : findings.error(error.what());
  }
}

void check_bind(const Opened& opened, const char* remedy_for_port) {
  const int error = opened.found ? try_bind(*opened.found) : 0;
  if (error != 0) {
    const std::string remedy =
        error == EACCES ? std::string("; ports below 1024 need root or CAP_NET_BIND_SERVICE: ") +
                              remedy_for_port
                        : "; name an address of this host";
    throw ConfigError(opened.address.text + ": bind: " + std::strerror(error) + remedy);
  }
}

void check_opened(const Opened& opened, const char* remedy_for_port) {
  if (is_unix(opened.address)) {
    check_socket_place(opened.address.host);
  } else {
    check_bind(opened, remedy_for_port);
  }
}

// Tries it with a file in memory, to which the same rules apply.
void check_owner(const ListenerOptions& options) {
  const UnixSocket::Access access = access_of(options);
  const Descriptor file(memfd_create("owner", MFD_CLOEXEC));
  if (file.valid() && fchown(file.number(), access.uid, access.gid) != 0) {
    throw ConfigError('"' + options.owner + "\": chown: " + std::strerror(errno) +
                      "; start as root, or set a group of the program's user");
  }
}

Found look_up_found(const Destination& address) {
  return is_unix(address) ? nullptr : Found(look_up(address));
}

// Of any length.
Destination unix_address(const std::string& path) {
  return {Destination::Family::kUnix, path, {}, "unix:" + path};
}

std::optional<Opened> opened_control(const Settings& process) {
  const std::string& path = process.serve.control;
  if (path.empty()) {
    return std::nullopt;
  }
  const std::string place = process.places.of("control");
  return Opened{place, place, unix_address(path), nullptr, path == kDefaultControl};
}

std::optional<Opened> opened_metrics(const Settings& process) {
  const std::string& address = process.serve.metrics;
  if (address.empty()) {
    return std::nullopt;
  }
  const std::string place = process.places.of("metrics");
  Opened made{place, place,
              address.starts_with("unix:") ? unix_address(address.substr(5))
                                           : parse_destination("inet:" + address)};
  made.found = look_up_found(made.address);
  return made;
}

unsigned zone_of(const addrinfo& address) {
  return address.ai_family == AF_INET6
             ? reinterpret_cast<const sockaddr_in6*>(address.ai_addr)->sin6_scope_id
             : 0;
}

bool includes(const Address& wildcard, const Address& other) {
  return wildcard == Address::parse("0.0.0.0") ? other.is_ipv4()
         : wildcard == Address::parse("::")    ? !other.is_ipv4() || has_dual_stack()
                                               : false;
}

// systemd can open both [::] and 0.0.0.0, and has, if a process listens at both.
bool overlap(const addrinfo& one, const addrinfo& other) {
  const auto a = Address::of(one.ai_addr);
  const auto b = Address::of(other.ai_addr);
  const bool same = a == b && zone_of(one) == zone_of(other);
  return same ||
         ((includes(*a, *b) || includes(*b, *a)) && !(is_listening(one) && is_listening(other)));
}

bool overlap(const Opened& one, const Opened& other) {
  if (is_unix(one.address) && is_unix(other.address)) {
    const std::string& a = one.address.host;
    const std::string& b = other.address.host;
    return same_file(a, b) || same_file(a + ".lock", b) || same_file(a, b + ".lock");
  }
  return one.found && other.found && one.address.port_number() == other.address.port_number() &&
         overlap(*one.found, *other.found);
}

// The load refuses those that are written the same.
void refuse_overlaps(const std::vector<Opened>& all, std::size_t listeners, Findings& findings) {
  for (std::size_t later = 0; later < all.size(); ++later) {
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      const Opened& one = all[later];
      const Opened& other = all[earlier];
      const bool known = later < listeners && one.address.text == other.address.text;
      if (!known && overlap(one, other)) {
        report(one, findings, [&] {
          throw ConfigError(one.address.text + " overlaps with " + other.address.text + ", " +
                            other.name + "; change one of the two");
        });
      }
    }
  }
}

void check_listener(const ListenerSettings& listener, const Opened& opened, Findings& findings) {
  const ListenerOptions& options = listener.settings.serve.listener;
  const OptionPlaces& places = listener.settings.places;
  report(opened, findings, [&] { check_opened(opened, "start as root with --user"); });
  if (is_unix(listener.address)) {
    findings.attempt([&] { at_place(places.of("listen-owner"), [&] { check_owner(options); }); });
    return;
  }
  for (const char* const option : {"listen-mode", "listen-owner"}) {
    if (!listener.name.empty() && places.given(option)) {
      findings.warning(places.of(option) + ": has no effect on " + listener.address.text +
                       "; it is for unix sockets");
    }
  }
}

}  // namespace

void check_listening(const DaemonSettings& settings, Findings& findings) {
  std::vector<Opened> all;
  for (const ListenerSettings& listener : settings.listeners) {
    Opened opened{listener.place, name_of(listener), listener.address};
    report(opened, findings, [&] { opened.found = look_up_found(opened.address); });
    check_listener(listener, opened, findings);
    all.push_back(std::move(opened));
  }
  const std::size_t listeners = all.size();
  for (const auto& own : {opened_control(settings.process), opened_metrics(settings.process)}) {
    if (own && listeners > 0) {
      all.push_back(*own);
    }
  }
  refuse_overlaps(all, listeners, findings);
}

void check_own_sockets(const Settings& process, Findings& findings) {
  for (const auto& own : {opened_control(process), opened_metrics(process)}) {
    if (own) {
      report(*own, findings, [&] { check_opened(*own, "choose another port"); });
    }
  }
}

}  // namespace lmtpq::mailer

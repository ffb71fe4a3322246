#include "mailer/serve/configuration/own_listeners.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "common/ascii.h"
#include "common/config_error.h"
#include "common/descriptor.h"

namespace lmtpq::mailer {
namespace {

Address address(const char* text) { return Address::parse(text).value(); }
Address ipv4_loopback() { return address("127.0.0.1"); }
Address ipv6_loopback() { return address("::1"); }

std::vector<Address> interface_addresses() {
  std::vector<Address> made;
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) {
    return made;
  }
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(first, freeifaddrs);
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) {
      continue;
    }
    if (const auto known = Address::of(entry->ifa_addr)) {
      made.push_back(*known);
    }
  }
  return made;
}

// Other names are not looked up: a DNS that does not answer must not delay a start.
std::vector<Address> addresses_of(const std::string& host) {
  if (const auto known = Address::parse(host)) {
    return {*known};
  }
  return same_word(host, "localhost") || same_word(host, "localhost.")
             ? std::vector<Address>{ipv4_loopback(), ipv6_loopback()}
             : std::vector<Address>();
}

// Of a file that need not exist, also where symbolic links lead to it.
std::filesystem::path resolved(std::filesystem::path path) {
  constexpr int kMaxLinks = 8;
  std::error_code failed;
  for (int links = 0; links < kMaxLinks; ++links) {
    const auto target = std::filesystem::read_symlink(path, failed);
    if (failed) {
      break;
    }
    path = path.parent_path() / target;  // the target alone if it is absolute
  }
  const auto known = std::filesystem::weakly_canonical(path, failed);
  return failed ? path.lexically_normal() : known;
}

}  // namespace

bool has_dual_stack() {
  const Descriptor probe(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int ipv6_only = 0;
  socklen_t size = sizeof ipv6_only;
  return probe.valid() &&
         getsockopt(probe.number(), IPPROTO_IPV6, IPV6_V6ONLY, &ipv6_only, &size) == 0 &&
         ipv6_only == 0;
}

bool same_file(const std::string& one, const std::string& other) {
  struct stat a {};
  struct stat b {};
  if (stat(one.c_str(), &a) == 0 && stat(other.c_str(), &b) == 0) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
  }
  return resolved(one) == resolved(other);
}

OwnListeners::OwnListeners(const std::vector<ListenerSettings>& listeners)
    : interfaces_(interface_addresses()), dual_stack_(has_dual_stack()) {
  for (const ListenerSettings& listener : listeners) {
    listeners_.push_back({listener.address, name_of(listener)});
  }
}

bool OwnListeners::operator==(const OwnListeners& other) const {
  return interfaces_ == other.interfaces_ && dual_stack_ == other.dual_stack_ &&
         std::equal(listeners_.begin(), listeners_.end(), other.listeners_.begin(),
                    other.listeners_.end(), [](const Known& one, const Known& another) {
                      return one.address.text == another.address.text;
                    });
}

void OwnListeners::refuse(const Destination& destination) const {
  for (const Known& listener : listeners_) {
    if (reaches(destination, listener.address)) {
      throw ConfigError('"' + destination.text + "\": is this daemon's own listener, " +
                        listener.name + "; name the store");
    }
  }
}

bool OwnListeners::reaches(const Destination& destination, const Destination& listener) const {
  if (destination.family != listener.family) {
    return false;
  }
  if (destination.family == Destination::Family::kUnix) {
    return same_file(destination.host, listener.host);
  }
  if (destination.port_number() != listener.port_number()) {
    return false;
  }
  const std::vector<Address> targets = addresses_of(destination.host);
  const std::vector<Address> own = addresses_of(listener.host);
  return destination.same_host(listener) ||
         std::any_of(targets.begin(), targets.end(), [&](const Address& target) {
           return std::any_of(own.begin(), own.end(),
                              [&](const Address& one) { return reaches(target, one); });
         });
}

bool OwnListeners::reaches(const Address& destination, const Address& listener) const {
  const Address any_ipv4 = address("0.0.0.0");
  const Address any_ipv6 = address("::");
  if (destination == any_ipv4 || destination == any_ipv6) {  // connects to this host
    return reaches(destination == any_ipv4 ? ipv4_loopback() : ipv6_loopback(), listener);
  }
  if (listener == any_ipv4) {
    return destination.is_ipv4() && is_own(destination);
  }
  if (listener == any_ipv6) {
    return (dual_stack_ || !destination.is_ipv4()) && is_own(destination);
  }
  return destination == listener;
}

bool OwnListeners::is_own(const Address& address) const {
  const Network loopback = Network::parse("127.0.0.0/8").value();
  return loopback.contains(address) || address == ipv6_loopback() ||
         std::find(interfaces_.begin(), interfaces_.end(), address) != interfaces_.end();
}

}  // namespace lmtpq::mailer

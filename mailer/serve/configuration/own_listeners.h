// Finds a destination that is one of the daemon's own listeners: mail to it would never end.
//
// Compares the addresses that can be known without the DNS: the files of unix sockets, numeric
// addresses, localhost. What it cannot see (a forwarder, a name, a directory's answer) Connector
// sees at the greeting. Immutable; may be used by several threads.
#pragma once

#include <string>
#include <vector>

#include "common/network/network.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {

class OwnListeners {
 public:
  explicit OwnListeners(const std::vector<ListenerSettings>& listeners);

  // ConfigError if a client of this destination would reach one of the listeners.
  void refuse(const Destination& destination) const;
  // Refuses the same destinations.
  bool operator==(const OwnListeners& other) const;

 private:
  struct Known {
    Destination address;
    std::string name;
  };
  bool reaches(const Destination& destination, const Destination& listener) const;
  bool reaches(const Address& destination, const Address& listener) const;
  bool is_own(const Address& address) const;

  std::vector<Known> listeners_;
  std::vector<Address> interfaces_;
  bool dual_stack_;  // a listener at [::] accepts IPv4 too
};

// Whether a listener at [::] accepts IPv4 too.
bool has_dual_stack();

// Whether both paths lead to one file, which need not exist.
bool same_file(const std::string& one, const std::string& other);

}  // namespace lmtpq::mailer

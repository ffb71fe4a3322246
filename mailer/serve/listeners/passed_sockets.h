// The sockets that systemd passed (sd_listen_fds(3)). A listener gets the one with its address, or
// the one whose FileDescriptorName= is its name. The address comes first, since a unit has one name
// for all its sockets.
#pragma once

#include <string>
#include <vector>

#include "common/descriptor.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {

class PassedSockets {
 public:
  static PassedSockets take();
  Descriptor find(const ListenerSettings& listener);
  // The names of those that no listener got.
  std::vector<std::string> left() const;

 private:
  struct Passed {
    std::string name;
    std::string address;
    Descriptor socket;
  };
  std::vector<Passed> sockets_;
};

}  // namespace lmtpq::mailer

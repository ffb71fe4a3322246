// The sockets that systemd passed (sd_listen_fds(3)), and which listener each of them is for.
//
// A listener gets the socket that has its whole address, otherwise the one whose
// FileDescriptorName= is its name: a unit has one name for all its sockets. They stay open as long
// as the daemon runs, also while no listener uses them, since systemd passes them only once.
#pragma once

#include <netinet/in.h>

#include <memory>
#include <string>
#include <vector>

#include "mailer/serve/listeners/listening_socket.h"
#include "mailer/serve/systemd/service_manager.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {

class PassedSockets {
 public:
  // `descriptors` are passed_descriptors(), or those that the process before this one had.
  // ConfigError where one is no socket that listens, with what the unit has to say.
  static PassedSockets take(std::vector<PassedDescriptor> descriptors);

  // For each of `listeners` its socket, or nullptr. `used` are not given. ConfigError where more
  // than one socket fits a listener, or more than one listener a socket.
  std::vector<PassedSocket> assign(const std::vector<const ListenerSettings*>& listeners,
                                   std::vector<PassedSocket> used,
                                   const GivenUp& given_up = nullptr) const;
  // The others than `used`, as texts show them: NAME (ADDRESS).
  std::vector<std::string> left(const std::vector<PassedSocket>& used) const;

  struct Passed {
    std::string name;
    sockaddr_storage address;
    PassedSocket socket;

    std::string text() const;
    // Why clients cannot be accepted there; nullptr: they can.
    const char* fault() const;
    bool is_at(const Destination& listener, const GivenUp& given_up = nullptr) const;
  };
  const std::vector<Passed>& all() const { return sockets_; }

 private:
  template <typename Fits>
  PassedSocket only(const ListenerSettings& listener, const std::vector<PassedSocket>& used,
                    Fits fits) const;

  std::vector<Passed> sockets_;
};

}  // namespace lmtpq::mailer

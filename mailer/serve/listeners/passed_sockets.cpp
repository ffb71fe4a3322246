#include "mailer/serve/listeners/passed_sockets.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "mailer/serve/systemd/service_manager.h"

namespace lmtpq::mailer {
namespace {

std::string address_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  if (address.ss_family == AF_UNIX) {
    return std::string("unix:") + reinterpret_cast<const sockaddr_un*>(&address)->sun_path;
  }
  char port[NI_MAXSERV] = "";
  getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, nullptr, 0, port, sizeof port,
              NI_NUMERICSERV);
  return std::string("inet port ") + port;
}

}  // namespace

PassedSockets PassedSockets::take() {
  PassedSockets made;
  for (PassedDescriptor& passed : passed_descriptors()) {
    const int number = passed.socket.number();
    made.sockets_.push_back({std::move(passed.name), address_of(number), std::move(passed.socket)});
  }
  return made;
}

Descriptor PassedSockets::find(const ListenerSettings& listener) {
  const Destination& address = listener.address;
  const std::string text = address.family == Destination::Family::kUnix
                               ? "unix:" + address.host
                               : "inet port " + std::to_string(address.port_number());
  Passed* best = nullptr;
  int most = 0;
  for (Passed& passed : sockets_) {
    const bool named = !listener.name.empty() && passed.name == listener.name;
    const int fits = (passed.address == text ? 2 : 0) + (named ? 1 : 0);
    if (passed.socket.valid() && fits > most) {
      best = &passed;
      most = fits;
    }
  }
  return best == nullptr ? Descriptor() : std::move(best->socket);
}

std::vector<std::string> PassedSockets::left() const {
  std::vector<std::string> names;
  for (const Passed& passed : sockets_) {
    if (passed.socket.valid()) {
      names.push_back(passed.name + " (" + passed.address + ")");
    }
  }
  return names;
}

}  // namespace lmtpq::mailer

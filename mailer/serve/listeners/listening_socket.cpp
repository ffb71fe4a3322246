#include "mailer/serve/listeners/listening_socket.h"

#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "common/config_error.h"

namespace lmtpq::mailer {
namespace {

constexpr int kBacklog = 1024;

[[noreturn]] void refuse(const Destination& address, const std::string& why) {
  throw ConfigError("listener " + address.text + ": " + why);
}

[[noreturn]] void refuse(const Destination& address, const char* call, const char* remedy) {
  refuse(address, std::string(call) + ": " + std::strerror(errno) + remedy);
}

const char* remedy_for(int error) {
  switch (error) {
    case EACCES:
      return "; ports below 1024 need root or CAP_NET_BIND_SERVICE: start as root with --user";
    case EADDRINUSE:
      return "; stop the program that listens there, or choose another port";
    case EADDRNOTAVAIL:
      return "; name an address of this host";
    default:
      return "";
  }
}

sockaddr_un unix_address(const Destination& address) {
  sockaddr_un made{};
  made.sun_family = AF_UNIX;
  if (address.host.size() >= sizeof made.sun_path) {
    refuse(address, "the path is too long for a socket");
  }
  std::copy(address.host.begin(), address.host.end(), made.sun_path);
  return made;
}

bool is_in_use(const sockaddr_un& address) {
  const Descriptor dialled(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // EAGAIN: a program listens there, and its queue is full.
  return connect(dialled.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
             0 ||
         errno == EAGAIN;
}

void give_to(const Destination& address, const std::string& owner) {
  const std::size_t colon = std::min(owner.find(':'), owner.size());
  const std::string user = owner.substr(0, colon);
  const std::string group = colon < owner.size() ? owner.substr(colon + 1) : "";
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
  if (!user.empty()) {
    const passwd* const found = getpwnam(user.c_str());
    if (found == nullptr) {
      refuse(address,
             "listen-owner: no user " + user + " on this system; create it, or correct the name");
    }
    uid = found->pw_uid;
  }
  if (!group.empty()) {
    const ::group* const found = getgrnam(group.c_str());
    if (found == nullptr) {
      refuse(address,
             "listen-owner: no group " + group + " on this system; create it, or correct the name");
    }
    gid = found->gr_gid;
  }
  if (chown(address.host.c_str(), uid, gid) != 0) {
    refuse(address, "chown", "; start as root, or set a group of the daemon's user");
  }
}

}  // namespace

// The delegated constructor has completed: an exception below runs the destructor, which removes
// the file.
ListeningSocket::ListeningSocket(const Destination& address, const ListenerOptions& settings)
    : ListeningSocket(address) {
  mode_ = settings.mode;
  owner_ = settings.owner;
  if (address.family == Destination::Family::kUnix) {
    listen_unix(settings);
  } else {
    listen_inet();
  }
}

ListeningSocket::ListeningSocket(const Destination& address, Descriptor passed)
    : address_(address), socket_(std::move(passed)) {
  fcntl(socket_.number(), F_SETFL, fcntl(socket_.number(), F_GETFL) | O_NONBLOCK);
}

ListeningSocket::~ListeningSocket() { close(); }

std::vector<const char*> ListeningSocket::changed(const ListenerOptions& settings) const {
  std::vector<const char*> made;
  if (!path_.empty() && mode_ != settings.mode) {
    made.push_back("listen-mode");
  }
  if (!path_.empty() && owner_ != settings.owner) {
    made.push_back("listen-owner");
  }
  return made;
}

void ListeningSocket::close() {
  if (!path_.empty() && socket_.valid()) {
    unlink(path_.c_str());
  }
  socket_ = Descriptor();
}

void ListeningSocket::listen_unix(const ListenerOptions& settings) {
  const sockaddr_un address = unix_address(address_);
  struct stat facts {};
  if (lstat(address_.host.c_str(), &facts) == 0) {
    if (!S_ISSOCK(facts.st_mode)) {
      refuse(address_, "a file of this name exists and is not a socket; remove it");
    }
    if (is_in_use(address)) {
      refuse(address_, "another program listens there; stop it first");
    }
    unlink(address_.host.c_str());
  }
  socket_ = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // No client may connect before mode and owner are set.
  const mode_t before = umask(0777);
  const int bound =
      bind(socket_.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  umask(before);
  if (bound != 0) {
    refuse(address_, "bind",
           "; its directory must exist and belong to the daemon's user (see tmpfiles.d)");
  }
  path_ = address_.host;
  if (!settings.owner.empty()) {
    give_to(address_, settings.owner);
  }
  if (chmod(path_.c_str(), settings.mode) != 0 || listen(socket_.number(), kBacklog) != 0) {
    refuse(address_, "listen", "");
  }
}

void ListeningSocket::listen_inet() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* list = nullptr;
  const std::string port = std::to_string(address_.port_number());
  const char* const host = address_.host == "*" ? nullptr : address_.host.c_str();
  if (const int trouble = getaddrinfo(host, port.c_str(), &hints, &list); trouble != 0) {
    refuse(address_, gai_strerror(trouble));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(list, freeaddrinfo);
  socket_ = Descriptor(socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  setsockopt(socket_.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(socket_.number(), list->ai_addr, list->ai_addrlen) != 0 ||
      listen(socket_.number(), kBacklog) != 0) {
    refuse(address_, "bind", remedy_for(errno));
  }
}

Descriptor ListeningSocket::accept(Client& client) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  Descriptor made(accept4(socket_.number(), reinterpret_cast<sockaddr*>(&address), &size,
                          SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!made.valid()) {
    return made;
  }
  client = {};
  if (address.ss_family == AF_UNIX) {
    ucred peer{};
    socklen_t length = sizeof peer;
    getsockopt(made.number(), SOL_SOCKET, SO_PEERCRED, &peer, &length);
    client.uid = peer.uid;
  } else {
    client.address = Address::of(reinterpret_cast<const sockaddr*>(&address));
    const int on = 1;
    setsockopt(made.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(made.number(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  return made;
}

}  // namespace lmtpq::mailer

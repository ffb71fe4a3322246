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

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "common/config_error.h"
#include "common/few_descriptors.h"
#include "common/options/option_places.h"
#include "common/shortage.h"
#include "mailer/io/name_lookup.h"

namespace lmtpq::mailer {
namespace {

constexpr int kBacklog = 1024;
constexpr std::chrono::seconds kLookUp{60};  // longer than resolv.conf(5) lets a look-up take

[[noreturn]] void refuse(const Destination& address, const std::string& why) {
  throw ConfigError(address.text + ": " + why);
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
      return remedy_for_few_descriptors(error);
  }
}

}  // namespace

UnixSocket::Access access_of(const ListenerOptions& settings) {
  UnixSocket::Access made;
  made.mode = settings.mode;
  const std::string& owner = settings.owner;
  const std::size_t colon = std::min(owner.find(':'), owner.size());
  const std::string user = owner.substr(0, colon);
  const std::string group = colon < owner.size() ? owner.substr(colon + 1) : "";
  if (!user.empty()) {
    const passwd* const found = getpwnam(user.c_str());
    if (found == nullptr) {
      throw ConfigError("no user " + user + " on this system; create it, or correct the name");
    }
    made.uid = found->pw_uid;
  }
  if (!group.empty()) {
    const ::group* const found = getgrnam(group.c_str());
    if (found == nullptr) {
      throw ConfigError("no group " + group + " on this system; create it, or correct the name");
    }
    made.gid = found->gr_gid;
  }
  return made;
}

ListeningSocket::ListeningSocket(const Destination& address, const ListenerOptions& settings,
                                 const GivenUp& given_up)
    : address_(address), mode_(settings.mode), owner_(settings.owner) {
  if (address.family == Destination::Family::kUnix) {
    at_place(address.text, [&] {
      const UnixSocket::Access access =
          at_place("listen-owner", [&] { return access_of(settings); });
      unix_.emplace(address.host, access);
    });
  } else {
    listen_inet(given_up);
  }
}

ListeningSocket::ListeningSocket(const Destination& address, PassedSocket passed)
    : address_(address), passed_(std::move(passed)) {
  fcntl(number(), F_SETFL, fcntl(number(), F_GETFL) | O_NONBLOCK);
  watch_passed_file();
}

ListeningSocket::ListeningSocket(const Destination& address, HandedSocket handed)
    : address_(address), mode_(handed.mode), owner_(std::move(handed.owner)) {
  std::vector<Descriptor>& descriptors = handed.descriptors;
  const bool is_unix = address.family == Destination::Family::kUnix;
  if (descriptors.size() < (is_unix ? 2 : 1)) {
    refuse(address, "the running daemon did not hand over all descriptors; restart instead");
  }
  if (is_unix) {
    descriptors.resize(3);
    ListenerOptions options;
    options.mode = mode_;
    options.owner = owner_;
    unix_.emplace(address.host, access_of(options),
                  UnixSocket::Descriptors{std::move(descriptors[0]), std::move(descriptors[1]),
                                          std::move(descriptors[2])});
  } else {
    inet_ = std::move(descriptors[0]);
  }
}

std::vector<int> ListeningSocket::numbers() const {
  if (!unix_) {
    return {number()};
  }
  const UnixSocket::Numbers numbers = unix_->numbers();
  return numbers.file < 0 ? std::vector{numbers.socket, numbers.lock}
                          : std::vector{numbers.socket, numbers.lock, numbers.file};
}

void ListeningSocket::share(bool shared) {
  if (unix_) {
    unix_->share(shared);
  }
}

int ListeningSocket::number() const {
  return passed_ ? passed_->number() : unix_ ? unix_->number() : inet_.number();
}

std::vector<const char*> ListeningSocket::changed(const ListenerOptions& settings) const {
  std::vector<const char*> made;
  if (unix_ && mode_ != settings.mode) {
    made.push_back("listen-mode");
  }
  if (unix_ && owner_ != settings.owner) {
    made.push_back("listen-owner");
  }
  return made;
}

bool ListeningSocket::restore(const Log& log) {
  if (passed_) {
    report_lost_file(log);
  }
  return unix_ && unix_->restore(address_.text, log);
}

void ListeningSocket::watch_passed_file() {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  struct stat facts {};
  if (getsockname(number(), reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
      address.sun_family == AF_UNIX && address.sun_path[0] == '/' &&
      lstat(address.sun_path, &facts) == 0 && S_ISSOCK(facts.st_mode)) {
    passed_file_ = {address.sun_path, facts.st_dev, facts.st_ino};
  }
}

void ListeningSocket::report_lost_file(const Log& log) {
  struct stat found {};
  const bool there = lstat(passed_file_.path.c_str(), &found) == 0;
  const bool same = there
                        ? found.st_dev == passed_file_.device && found.st_ino == passed_file_.inode
                        : errno != ENOENT && errno != ENOTDIR;
  if (passed_file_.path.empty() || same) {
    return;
  }
  log.error(
      Record("socket-lost")
          .add("socket", "unix:" + passed_file_.path)
          .add("change", there ? "replaced" : "removed")
          .add("effect", "clients cannot connect")
          .add("remedy", "systemd made it: stop lmtpq.socket and lmtpq.service, then start both"));
  passed_file_ = {};
}

std::shared_ptr<const addrinfo> look_up(const Destination& address, const GivenUp& given_up) {
  const Addresses found = look_up(address.host, std::to_string(address.port_number()),
                                  {Clock::now() + kLookUp, given_up});
  if (!found.list && found.unknown) {
    throw Shortage(address.text + ": " + found.failure +
                   "; see whether the DNS answers, or name an address in place of the host");
  }
  if (!found.list) {
    refuse(address, found.failure);
  }
  return found.list;
}

void ListeningSocket::listen_inet(const GivenUp& given_up) {
  const auto list = look_up(address_, given_up);
  inet_ = Descriptor(socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!inet_.valid()) {
    const int error = errno;
    refuse_by_error(error, address_.text + ": socket: " + std::strerror(error) + remedy_for(error));
  }
  const int on = 1;
  setsockopt(inet_.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(inet_.number(), list->ai_addr, list->ai_addrlen) != 0 ||
      listen(inet_.number(), kBacklog) != 0) {
    refuse(address_, std::string("bind: ") + std::strerror(errno) + remedy_for(errno));
  }
}

Descriptor ListeningSocket::accept(Client& client) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  Descriptor made(accept4(number(), reinterpret_cast<sockaddr*>(&address), &size,
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

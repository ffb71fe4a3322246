#include "milter/process/listener.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "common/options/option_places.h"

namespace {

lmtpq::UnixSocket* g_offered = nullptr;  // for the next bind(2)

}  // namespace

// A symbol of the executable overrides the same symbol of every library, so libmilter calls this
// function (listener.c there). With a socket on offer its own one becomes a copy of that, whatever
// the address; otherwise this is bind(2).
extern "C" int bind(int socket, const sockaddr* address, socklen_t size) {
  lmtpq::UnixSocket* const offered = std::exchange(g_offered, nullptr);
  if (offered == nullptr) {
    return static_cast<int>(syscall(SYS_bind, socket, address, size));
  }
  if (dup3(offered->number(), socket, O_CLOEXEC) < 0) {
    return -1;
  }
  offered->lend(socket);
  return 0;
}

namespace lmtpq::milter {
namespace {

// Anyone who connects gets tags signed, so only the owner and root may open the file.
UnixSocket::Access access_for(const std::string& user) {
  UnixSocket::Access made;
  const passwd* const entry = user.empty() || geteuid() != 0 ? nullptr : getpwnam(user.c_str());
  if (entry != nullptr) {
    made.uid = entry->pw_uid;
    made.gid = entry->pw_gid;
  }
  return made;
}

}  // namespace

Listener::Listener(SocketName name, const std::string& user) : name_(std::move(name)) {
  if (name_.family != AF_UNIX) {
    check_port(name_);
    return;
  }
  at_place('"' + name_.text() + '"', [&] { socket_.emplace(name_.path, access_for(user)); });
  g_offered = &*socket_;
}

// At its end libmilter removes any socket at the path that it knows: it must not know ours.
std::string Listener::libmilters_name() const { return socket_ ? "unix:/" : name_.text(); }

void Listener::restore(const Log& log) {
  if (socket_) {
    socket_->restore(name_.text(), log);
  }
}

}  // namespace lmtpq::milter

#include "tests/unit/mailer/io/fake_resolver.h"

#include <dlfcn.h>
#include <netdb.h>
#include <sys/socket.h>

#include <condition_variable>
#include <map>
#include <mutex>

namespace fake_resolver {
namespace {

struct Entry {
  bool hangs = false;
  int status = EAI_NONAME;
  std::vector<std::string> addresses;
  int asked = 0;
};

std::mutex g_mutex;
std::condition_variable g_changed;
std::map<std::string, Entry> g_entries;

using GetAddrInfo = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
GetAddrInfo libc() {
  static const auto found = reinterpret_cast<GetAddrInfo>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return found;
}

}  // namespace

void set(const std::string& host, int status, std::vector<std::string> addresses) {
  const std::lock_guard lock(g_mutex);
  g_entries[host] = {false, status, std::move(addresses), 0};
  g_changed.notify_all();
}

void hang(const std::string& host) {
  const std::lock_guard lock(g_mutex);
  g_entries[host] = {true, EAI_AGAIN, {}, 0};
}

int asked(const std::string& host) {
  const std::lock_guard lock(g_mutex);
  return g_entries[host].asked;
}

int look_up(const char* host, const char* port, const addrinfo* hints, addrinfo** result) {
  const bool numeric = hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0;
  std::unique_lock lock(g_mutex);
  if (host == nullptr || numeric || !g_entries.contains(host)) {
    lock.unlock();
    return libc()(host, port, hints, result);
  }
  const std::string name = host;
  ++g_entries[name].asked;
  g_changed.wait(lock, [&] { return !g_entries[name].hangs; });
  const Entry entry = g_entries[name];
  addrinfo** last = result;
  for (const std::string& address : entry.addresses) {
    addrinfo as_number{};
    as_number.ai_socktype = SOCK_STREAM;
    as_number.ai_flags = AI_NUMERICHOST;
    if (const int status = libc()(address.c_str(), port, &as_number, last); status != 0) {
      return status;
    }
    last = &(*last)->ai_next;
  }
  return entry.status;
}

}  // namespace fake_resolver

extern "C" int getaddrinfo(const char* host, const char* port, const addrinfo* hints,
                           addrinfo** result) {
  return fake_resolver::look_up(host, port, hints, result);
}

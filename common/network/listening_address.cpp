#include "common/network/listening_address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "common/descriptor.h"

namespace lmtpq {
namespace {

// As /proc/net/tcp has it: words of the address in the host's byte order, and the port.
std::string proc_text(const addrinfo& address) {
  std::string made;
  const auto add = [&made](const char* form, unsigned number) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), form, number);
    made += text.data();
  };
  if (address.ai_family == AF_INET) {
    const auto* const ipv4 = reinterpret_cast<const sockaddr_in*>(address.ai_addr);
    add("%08X", ipv4->sin_addr.s_addr);
    add(":%04X", ntohs(ipv4->sin_port));
  } else {
    const auto* const ipv6 = reinterpret_cast<const sockaddr_in6*>(address.ai_addr);
    for (const std::uint32_t word : ipv6->sin6_addr.s6_addr32) {
      add("%08X", word);
    }
    add(":%04X", ntohs(ipv6->sin6_port));
  }
  return made;
}

}  // namespace

bool is_listening(const addrinfo& address) {
  const std::string wanted = proc_text(address);
  std::ifstream table(address.ai_family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6");
  for (std::string line; std::getline(table, line);) {
    std::string number;
    std::string local;
    std::string remote;
    std::string state;
    std::istringstream(line) >> number >> local >> remote >> state;
    if (local == wanted && state == "0A") {  // TCP_LISTEN
      return true;
    }
  }
  return false;
}

int try_bind(const addrinfo& address) {
  if (is_listening(address)) {
    return 0;
  }
  const Descriptor tried(socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // So that a program that starts in this moment can bind it too.
  const int on = 1;
  setsockopt(tried.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool good = tried.valid() && bind(tried.number(), address.ai_addr, address.ai_addrlen) == 0;
  return good || errno == EADDRINUSE ? 0 : errno;
}

}  // namespace lmtpq

#include "mailer/io/proxy_protocol.h"

#include <netinet/in.h>

#include <cstring>
#include <string_view>

namespace lmtpq::mailer {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr char kLocal = 0x20;  // version 2 in the upper half
constexpr char kProxy = 0x21;
constexpr char kUnspecified = 0x00;
constexpr char kTcp4 = 0x11;
constexpr char kTcp6 = 0x21;

std::string header(char command, char family, std::string_view addresses) {
  std::string made(kSignature);
  made += command;
  made += family;
  made += static_cast<char>(addresses.size() >> 8);
  made += static_cast<char>(addresses.size() & 0xff);
  return made.append(addresses);
}

// For fields that are in network byte order already.
template <typename Field>
std::string_view octets(const Field& field) {
  return {reinterpret_cast<const char*>(&field), sizeof field};
}

template <typename Address>
Address as(const sockaddr_storage& storage) {
  Address made;
  std::memcpy(&made, &storage, sizeof made);
  return made;
}

std::string tcp4_header(const sockaddr_in& source, const sockaddr_in& target) {
  std::string addresses(octets(source.sin_addr));
  addresses += octets(target.sin_addr);
  addresses += octets(source.sin_port);
  addresses += octets(target.sin_port);
  return header(kProxy, kTcp4, addresses);
}

std::string tcp6_header(const sockaddr_in6& source, const sockaddr_in6& target) {
  std::string addresses(octets(source.sin6_addr));
  addresses += octets(target.sin6_addr);
  addresses += octets(source.sin6_port);
  addresses += octets(target.sin6_port);
  return header(kProxy, kTcp6, addresses);
}

}  // namespace

std::string proxy_v2_header(const sockaddr_storage& source, const sockaddr_storage& target) {
  if (source.ss_family == AF_INET && target.ss_family == AF_INET) {
    return tcp4_header(as<sockaddr_in>(source), as<sockaddr_in>(target));
  }
  if (source.ss_family == AF_INET6 && target.ss_family == AF_INET6) {
    return tcp6_header(as<sockaddr_in6>(source), as<sockaddr_in6>(target));
  }
  return header(kLocal, kUnspecified, {});
}

}  // namespace lmtpq::mailer

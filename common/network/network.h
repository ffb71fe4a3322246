// IP addresses, and networks in CIDR notation (RFC 4632).
//
// An IPv4-mapped IPv6 address is the IPv4 address. parse() returns nothing for text that is not
// one of these: a network with bits set after its prefix (192.0.2.1/24) is probably a typo, and an
// address with a zone (fe80::1%eth0) is not supported.
//
// In logs and texts an IPv6 address is in brackets, so that a port can follow it (RFC 3986 section
// 3.2.2): everything that shows one takes it from bracketed() or Address::shown().
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace lmtpq {

// A host as texts show it: an IPv6 address in brackets, any other host as it is.
std::string bracketed(std::string_view host);

class Address {
 public:
  static std::optional<Address> parse(std::string_view text);  // 192.0.2.1, 2001:db8::1, IPv6:...
  static std::optional<Address> of(const sockaddr* address);   // nothing: not an IP address

  std::string text() const;
  std::string shown() const { return bracketed(text()); }
  bool is_ipv4() const;
  bool operator==(const Address&) const = default;

 private:
  friend class Network;
  std::array<unsigned char, 16> bytes_{};  // IPv4 as ::ffff:a.b.c.d
};

// Of one family: 0.0.0.0/0 contains no IPv6 address, and ::/0 no IPv4 address.
class Network {
 public:
  static std::optional<Network> parse(std::string_view text);
  bool contains(const Address& address) const;
  bool is_everything() const;  // all addresses of its family: 0.0.0.0/0, ::/0

 private:
  Address first_;
  unsigned prefix_ = 128;
};

}  // namespace lmtpq

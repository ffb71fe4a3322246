// IP addresses and networks.
//
// What it is: an address (IPv4 or IPv6; an IPv4-mapped IPv6 address is the IPv4 one), and a network
//   in CIDR notation (RFC 4632), or one address.
// What it does not know: names, DNS, who is trusted.
// Called by: the milter's conditions, trace_origin and callbacks; the daemon's client_list.
// Threads and lifetimes: immutable values.
// Failure: parse() returns nothing for what is no address or network. A network with bits set
//   behind its prefix is none: 192.0.2.1/24 is a slip. An address with a zone (fe80::1%eth0) is
//   none.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sockaddr;

namespace lmtpq {

class Address {
 public:
  static std::optional<Address> parse(std::string_view text);  // 192.0.2.1, 2001:db8::1, IPv6:...
  static std::optional<Address> of(const sockaddr* address);   // nullptr, or no IP address: nothing

  std::string text() const;
  bool is_ipv4() const;
  bool operator==(const Address&) const = default;

 private:
  friend class Network;
  std::array<unsigned char, 16> bytes_{};  // IPv4 as ::ffff:a.b.c.d
};

// Of one family: 0.0.0.0/0 has no IPv6 address in it, ::/0 no IPv4 one, mapped or not.
class Network {
 public:
  static std::optional<Network> parse(std::string_view text);
  bool contains(const Address& address) const;
  bool is_everything() const;  // all addresses of its family: 0.0.0.0/0, ::/0

 private:
  Address first_;
  unsigned prefix_ = 128;
};

// Clients as the admin lists them: addresses, networks, and `local`, which is who has no address (a
// program that runs sendmail -bs).
struct ClientSet {
  std::vector<Network> networks;
  bool local = false;

  bool add(std::string_view word);  // false: it is none of these
  bool contains(const std::optional<Address>& client) const;
};

}  // namespace lmtpq

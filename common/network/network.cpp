#include "common/network/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "common/ascii.h"

namespace lmtpq {
namespace {

constexpr unsigned kBits = 128;
constexpr unsigned kMappedBits = 96;  // the prefix ::ffff: of an IPv4 address
constexpr std::array<unsigned char, kMappedBits / 8> kMapped = {0, 0, 0, 0, 0,    0,
                                                                0, 0, 0, 0, 0xff, 0xff};

std::optional<unsigned> prefix_length(std::string_view digits, unsigned most) {
  unsigned length = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  // A leading zero could be read as an octal number.
  const bool ambiguous = digits.size() > 1 && digits[0] == '0';
  if (error != std::errc() || end != digits.data() + digits.size() || ambiguous || length > most) {
    return std::nullopt;
  }
  return length;
}

// Which bits of the byte at `index` belong to the prefix.
unsigned char mask(unsigned prefix, std::size_t index) {
  const auto before = static_cast<unsigned>(index) * 8;
  const unsigned bits = prefix <= before ? 0 : std::min(prefix - before, 8U);
  return static_cast<unsigned char>(0xff00U >> bits);
}

}  // namespace

std::string bracketed(std::string_view host) {
  const bool six = host.find(':') != std::string_view::npos;
  return (six ? "[" : "") + std::string(host) + (six ? "]" : "");
}

std::optional<Address> Address::parse(std::string_view text) {
  constexpr std::string_view kTag = "IPv6:";  // RFC 5321 section 4.1.3
  const bool tagged = same_word(text.substr(0, kTag.size()), kTag);
  if (tagged) {
    text.remove_prefix(kTag.size());
  }
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string terminated(text);
  Address address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) == 1) {
    return address;
  }
  address = Address();
  std::copy(kMapped.begin(), kMapped.end(), address.bytes_.begin());
  if (!tagged &&
      inet_pton(AF_INET, terminated.c_str(), address.bytes_.data() + kMapped.size()) == 1) {
    return address;
  }
  return std::nullopt;
}

std::optional<Address> Address::of(const sockaddr* address) {
  Address made;
  if (address != nullptr && address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    std::copy(kMapped.begin(), kMapped.end(), made.bytes_.begin());
    std::memcpy(made.bytes_.data() + kMapped.size(), &in.sin_addr, sizeof in.sin_addr);
    return made;
  }
  if (address != nullptr && address->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    std::memcpy(made.bytes_.data(), &in.sin6_addr, sizeof in.sin6_addr);
    return made;
  }
  return std::nullopt;
}

bool Address::is_ipv4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes_.begin()); }

std::string Address::text() const {
  char text[INET6_ADDRSTRLEN] = "";
  const bool four = is_ipv4();
  inet_ntop(four ? AF_INET : AF_INET6, bytes_.data() + (four ? kMapped.size() : 0), text,
            sizeof text);
  return text;
}

std::optional<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view written = text.substr(0, slash);
  const std::optional<Address> first = Address::parse(written);
  if (!first) {
    return std::nullopt;
  }
  Network network;
  network.first_ = *first;
  if (slash != std::string_view::npos) {
    // The notation decides where counting begins: ::ffff:192.0.2.0/120 is 192.0.2.0/24.
    const bool dotted = written.find(':') == std::string_view::npos;
    const unsigned skipped = dotted ? kMappedBits : 0;
    const std::optional<unsigned> length = prefix_length(text.substr(slash + 1), kBits - skipped);
    if (!length) {
      return std::nullopt;
    }
    network.prefix_ = *length + skipped;
  }
  for (std::size_t i = 0; i < first->bytes_.size(); ++i) {
    if ((first->bytes_[i] & ~mask(network.prefix_, i)) != 0) {
      return std::nullopt;
    }
  }
  return network;
}

bool Network::contains(const Address& address) const {
  if (address.is_ipv4() != first_.is_ipv4()) {
    return false;
  }
  for (std::size_t i = 0; i < first_.bytes_.size(); ++i) {
    if (((address.bytes_[i] ^ first_.bytes_[i]) & mask(prefix_, i)) != 0) {
      return false;
    }
  }
  return true;
}

bool Network::is_everything() const { return prefix_ == (first_.is_ipv4() ? kMappedBits : 0); }

}  // namespace lmtpq

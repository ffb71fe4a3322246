// Clients as the admin lists them: addresses, networks, and `local` for a client without an address
// (a program that runs sendmail -bs).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "common/network/network.h"

namespace lmtpq::milter {

inline constexpr const char* kClientsExpected =
    "expected addresses, networks such as 192.0.2.0/24, or local";

struct ClientSet {
  std::vector<Network> networks;
  bool local = false;

  // Throws ConfigError with what was expected.
  static ClientSet parse(std::string_view list);
  bool contains(const std::optional<Address>& client) const;
};

}  // namespace lmtpq::milter

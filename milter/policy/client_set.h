// Clients as the admin lists them: addresses, networks, and `local` for a client without an address
// (a program that runs sendmail -bs).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "common/network.h"

namespace lmtpq::milter {

struct ClientSet {
  std::vector<Network> networks;
  bool local = false;

  bool add(std::string_view word);  // false: not an address, network or `local`
  bool contains(const std::optional<Address>& client) const;
};

}  // namespace lmtpq::milter

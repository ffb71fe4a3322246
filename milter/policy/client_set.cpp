#include "milter/policy/client_set.h"

#include <algorithm>

namespace lmtpq::milter {

bool ClientSet::add(std::string_view word) {
  if (word == "local") {
    local = true;
    return true;
  }
  const std::optional<Network> network = Network::parse(word);
  if (network) {
    networks.push_back(*network);
  }
  return network.has_value();
}

bool ClientSet::contains(const std::optional<Address>& client) const {
  if (!client) {
    return local;
  }
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Network& network) { return network.contains(*client); });
}

}  // namespace lmtpq::milter

#include "milter/policy/client_set.h"

#include <algorithm>

#include "common/options/option_table.h"

namespace lmtpq::milter {

ClientSet ClientSet::parse(std::string_view list) {
  ClientSet made;
  each_word(list, [&](const std::string& word) {
    if (word == "local") {
      made.local = true;
    } else if (const std::optional<Network> network = Network::parse(word)) {
      made.networks.push_back(*network);
    } else {
      throw ConfigError(kClientsExpected);
    }
  });
  return made;
}

bool ClientSet::contains(const std::optional<Address>& client) const {
  if (!client) {
    return local;
  }
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Network& network) { return network.contains(*client); });
}

}  // namespace lmtpq::milter

// The clients of the daemon: who connects, and the lists of those that may.
//
// A client is an address or, over a unix socket, a uid. A list has addresses, networks, `uid:N`,
// `user:NAME`, or `all`. Immutable values; parse() throws ConfigError with what was expected.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/network/network.h"

namespace lmtpq::mailer {

struct Client {
  std::optional<Address> address;  // empty: over a unix socket
  uid_t uid = 0;                   // of the process that connected there

  std::string text() const;  // 192.0.2.1, or uid:1000
  bool on_loopback() const;
};

class ClientList {
 public:
  static ClientList parse(std::string_view words);
  bool empty() const { return !all_ && networks_.empty() && uids_.empty(); }
  bool contains(const Client& client) const;

 private:
  bool all_ = false;
  std::vector<Network> networks_;
  std::vector<uid_t> uids_;
};

}  // namespace lmtpq::mailer

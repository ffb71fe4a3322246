// Who dials us, and who may.
//
// What it is: a client (an address, or over a unix socket a uid), and the list of those whom the
//   admin names: addresses, networks, `uid:N`, `user:NAME`, or `all`.
// What it does not know: sockets, what is allowed to whom.
// Called by: serve_settings reads lists, the daemon asks them.
// Threads and lifetimes: immutable values.
// Failure: ConfigError with what was expected.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/network.h"

namespace lmtpq::mailer {

struct Client {
  std::optional<Address> address;  // empty: over a unix socket
  uid_t uid = 0;                   // of who dialled there

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

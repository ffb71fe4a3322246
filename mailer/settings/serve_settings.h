// What the admin can set for the daemon, and for each of its listeners.
//
// What it is: plain values, the option tables that fill them, and the listeners that the file's
//   `[listener.NAME]` sections and --listen make, each with Settings of its own.
// What it does not know: sockets (listening), how options are parsed (common/config).
// Called by: settings for the tables; the daemon's main for the listeners.
// Threads and lifetimes: filled before mail flows, anew at each SIGHUP, then read only.
// Failure: ConfigError with the option or the file's line.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "mailer/settings/client_list.h"
#include "mailer/settings/destination.h"

namespace lmtpq::mailer {

enum class Balance {
  kKept,       // a connection that is kept counts more than the order (relay: its only one)
  kOrder,      // the first that is well
  kWeight,     // by chance, in proportion to their weights
  kLeastUsed,  // the one with the fewest connections in use for its weight
};

struct ListenerOptions {
  mode_t mode = 0660;  // of a unix socket
  std::string owner;   // USER, USER:GROUP or :GROUP; empty: ours
  ClientList clients;  // empty: whom the mode lets in, and over TCP loopback
  ClientList trusted;  // may say IGNOREQUOTA and TRACE
  bool offers_pipelining = false;
};

struct ServeSettings {
  using Time = std::chrono::milliseconds;
  std::vector<Destination> listen;
  ListenerOptions listener;
  std::size_t threads = 1;
  std::size_t max_clients = 0;
  std::size_t max_clients_each = 0;   // from one address or uid
  std::size_t max_idle_commands = 0;  // in a row that bring no mail
  Time drain{0};
  Balance balance = Balance::kOrder;
  std::size_t mailbox_limit = 0;  // deliveries in flight for one mailbox; 0: no limit
  std::string control;            // the socket of `serve --status`, a path; empty: none
  std::string metrics;            // HOST:PORT of the Prometheus endpoint; empty: none
  bool check = false;             // only say whether the configuration is good
  bool status = false;            // ask a running daemon, do not serve
};

inline constexpr const char* kDefaultControl = "/run/lmtpq/control";
inline constexpr const char* kListenerPrefix = "listener.";

// What a listener may have of its own, and what is the daemon's.
std::vector<Option> listener_option_table(ListenerOptions& settings);
std::vector<Option> serve_option_table(ServeSettings& settings);

}  // namespace lmtpq::mailer

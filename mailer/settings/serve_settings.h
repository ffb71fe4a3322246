// The options of the daemon and of its listeners: values and option tables.
//
// A listener's options may be in its section [listener.NAME]. Filled before mail flows and again at
// each SIGHUP, read only afterwards.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/options/option_reader.h"
#include "mailer/settings/client_list.h"
#include "mailer/settings/destination.h"

namespace lmtpq::mailer {

enum class Balance {
  kReuse,      // an idle connection to any store before the order (relay and deliver)
  kOrder,      // the first store that is up
  kWeight,     // at random, in proportion to the weights
  kLeastUsed,  // the store with the fewest connections in use, divided by its weight
};

struct ListenerOptions {
  mode_t mode = 0660;  // of a unix socket
  std::string owner;   // USER, USER:GROUP or :GROUP; empty: the user that starts the daemon
  ClientList clients;  // empty: loopback over TCP; those that the mode admits on a unix socket
  ClientList trusted;  // may use IGNOREQUOTA and TRACE
  std::optional<bool> offers_pipelining;  // empty: over TCP, not over a unix socket
};

struct ServeSettings {
  using Time = std::chrono::milliseconds;
  std::vector<Destination> listen;
  ListenerOptions listener;
  std::size_t threads = 1;
  std::size_t max_clients = 0;
  std::size_t max_clients_each = 0;   // from one address or uid
  std::size_t max_idle_commands = 0;  // in a row without a message
  // Of what clients make us keep; 0: by the memory that the process may have.
  std::uint64_t memory_limit = 0;
  // Memory that clients do not account for: more than this, for this long, is a leak. Empty: by the
  // memory limit; 0: no upgrade for it.
  std::optional<std::uint64_t> upgrade_memory;
  Time upgrade_memory_time{0};
  Time drain{0};
  Balance balance = Balance::kOrder;
  std::size_t mailbox_limit = 0;  // deliveries in flight for one mailbox; 0: no limit
  std::string control;            // path of the socket for `serve --status`; empty: none
  std::string metrics;            // ADDRESS:PORT or unix:PATH of Prometheus's endpoint; empty: none
  bool check = false;             // check the configuration and exit
  bool status = false;            // show the state of a running daemon and exit
};

inline constexpr const char* kDefaultControl = "/run/lmtpq/control";
inline constexpr const char* kListenerPrefix = "listener.";

// The tables; their readers write into `settings`, which must outlive them.
OptionTable listener_option_table(ListenerOptions& settings);
OptionTable serve_option_table(ServeSettings& settings);

}  // namespace lmtpq::mailer

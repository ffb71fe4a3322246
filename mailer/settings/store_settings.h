// What the admin can set for one store, and a store with what is set for it.
//
// What it is: plain values, the option table that fills them, and the look-up of the section
//   `[destination.NAME]` of the file that is for a DEST.
// What it does not know: how options are parsed (common/config), who acts on them.
// Called by: settings, once for all stores and once for each; everything that talks to a store gets
//   a const Store&.
// Threads and lifetimes: filled before mail flows, then read only; secrets are read by main.
// Failure: ConfigError with the option or the file's line.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "mailer/settings/auth_settings.h"
#include "mailer/settings/destination.h"
#include "mailer/settings/tls_settings.h"

namespace lmtpq::mailer {

enum class ProxyProtocol { kNone, kV2 };

struct StoreTimeouts {
  using Time = std::chrono::milliseconds;
  Time connect, lhlo, starttls, auth, mail, rcpt, data_init, data_xfer, data_done, rset, quit;
};

// How many connections there are to a store, and for how long; the daemon's affair.
struct PoolSettings {
  using Time = std::chrono::milliseconds;
  std::size_t connections = 1;  // leased, idle and being made
  int uses = 0;                 // transactions on one; 0: no limit
  Time lifetime{0};             // of one, from its making; 0: no limit
  Time wait{0};                 // for a free one; 0: as long as the client waits
  Time backoff{0};              // after a failed dial; twice as long after the next, up to
  Time most_backoff{30'000};
  unsigned weight = 1;  // among several stores
};

struct StoreSettings {
  bool pipelining = true;
  bool chunking = true;
  std::string hostname;
  std::size_t recipient_limit = 0;  // in one transaction
  ProxyProtocol proxy_protocol = ProxyProtocol::kNone;
  std::uint64_t min_data_rate = 0;  // bytes a second
  StoreTimeouts timeouts;
  TlsSettings tls;
  AuthSettings auth;
  PoolSettings pool;
};

struct Store {
  Destination destination;
  StoreSettings settings;
  Login login;                  // who we are there
  Config::Effective effective;  // what the settings were read from, to compare
  // Where the settings come from, for people: "[destination.a] (FILE:3)"; empty: no section fits.
  std::string section;
  // No section fits, but one is for another port of the host: likely a slip, which would leave the
  // store with less TLS than was meant.
  std::string near_miss;

  // A unix socket is as private as TLS, so `may` has nothing to gain there.
  bool wants_tls() const {
    return settings.tls.level >= TlsLevel::kEncrypt ||
           (settings.tls.level == TlsLevel::kMay &&
            destination.family == Destination::Family::kInet);
  }
};

inline constexpr const char* kStorePrefix = "destination.";

// The table; its readers write into `settings`, which must outlive it.
std::vector<Option> store_option_table(StoreSettings& settings);
std::vector<Option> pool_option_table(PoolSettings& settings);

// Would a connection to the one do for the other? The same DEST, settings and login.
bool same_store(const Store& one, const Store& other);

// Each destination with the settings that hold for it: where a section is for its host and another
// for its host and port, both are, and the latter counts more. Every section is read, also one that
// is for none of them: its mistakes are found before its day comes.
std::vector<Store> find_stores(const Config& config, const std::vector<Destination>& destinations);

// What no single option can know to be wrong: ConfigError.
void check(const Store& store);

}  // namespace lmtpq::mailer

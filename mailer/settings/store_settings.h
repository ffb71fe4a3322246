// The options for one store: values, option tables and checks; and Store, a destination with them.
//
// Each of these options may be in a section of the file for that store (destination_sections.h) or
// above the sections, for all stores. Filled before mail flows, read only afterwards.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/options/option_reader.h"
#include "common/tag/over_quota_policy.h"
#include "mailer/settings/auth_settings.h"
#include "mailer/settings/destination.h"
#include "mailer/settings/tls_settings.h"

namespace lmtpq::mailer {

// Above the options for times in --help.
inline constexpr const char* kTimeHeading = "Time (a number and s, m, h, d or w)";

enum class ProxyProtocol { kNone, kV2 };

struct StoreTimeouts {
  using Time = std::chrono::milliseconds;
  Time connect, lhlo, starttls, auth, mail, rcpt, data_init, data_xfer, data_done, rset, quit;
};

// The daemon's connections to one store.
struct PoolSettings {
  using Time = std::chrono::milliseconds;
  std::size_t connections = 1;      // leased, idle and being dialled
  int uses = 0;                     // transactions on one connection; 0: no limit
  Time lifetime{0};                 // of one connection; 0: no limit
  Time wait{0};                     // for a turn at a mailbox, and for a connection
  std::string recipient_delimiter;  // characters that begin the detail of user+detail
  Time backoff{0};                  // after a failed dial; doubles with each further one, up to:
  Time max_backoff{30'000};
  unsigned weight = 1;  // the share among several stores
};

struct StoreSettings {
  bool pipelining = true;
  std::string hostname;
  std::size_t recipient_limit = 0;  // in one transaction
  ProxyProtocol proxy_protocol = ProxyProtocol::kNone;
  OverQuotaPolicy over_quota;
  std::uint64_t min_data_rate = 0;  // bytes a second
  StoreTimeouts timeouts;
  TlsSettings tls;
  AuthSettings auth;
  PoolSettings pool;
  OptionPlaces places;
};

struct Store {
  Destination destination;
  StoreSettings settings;
  Login login;
  OptionReader::Effective effective;  // what the settings were read from, for comparison
  // Where the settings come from, for people: "[destination.a] (FILE:3)"; empty: no section fits.
  std::string section;
  // No section fits, but this one is for another port or protocol of the host. Likely a typo, which
  // leaves the store with less TLS than intended.
  std::string near_miss;

  // At level `may` a unix socket needs no TLS: it is as private.
  bool wants_tls() const {
    return settings.tls.level >= TlsLevel::kEncrypt ||
           (settings.tls.level == TlsLevel::kMay &&
            destination.family == Destination::Family::kInet);
  }
};

// The tables; their readers write into `settings`, which must outlive them.
OptionTable store_option_table(StoreSettings& settings);
OptionTable pool_option_table(PoolSettings& settings);
// This option may be in a listener's section as well.
Option over_quota_option(OverQuotaPolicy& policy);

// The same DEST and settings.
bool same_options(const Store& one, const Store& other);
// Whether a connection to one can be used for the other: the same login and key as well.
bool same_store(const Store& one, const Store& other);

// Checks that span several options; throws ConfigError.
void check(const Store& store);

}  // namespace lmtpq::mailer

// All options of the mailer's commands: the values, and the tables that declare them.
//
// An option is declared once, in the table next to the struct that holds its value: here, or in
// store_settings, serve_settings or route_settings. The tables fill Settings from the defaults, the
// file and the command line (load_settings.h), and print --help. Filled before anything else runs,
// read only afterwards.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/log/log.h"
#include "common/options/option_reader.h"
#include "common/tag/keyring.h"
#include "common/tag/trace_id.h"
#include "mailer/settings/destination.h"
#include "mailer/settings/route_settings.h"
#include "mailer/settings/serve_settings.h"
#include "mailer/settings/store_settings.h"

namespace lmtpq::mailer {

// kRetry: only for recipients whose mail the store has refused as over quota.
enum class IgnoreQuota { kAlways, kTagged, kRetry, kNever };
enum class TraceSource { kTag, kQueueId, kOff };
enum class Utf8Headers { kAllow, kRefuse };
enum class NulPolicy { kPass, kStrip, kRefuse };

struct Timeouts {
  using Time = std::chrono::milliseconds;
  Time input;  // for the client, or standard input, to send more
  Time idle;   // a store connection is closed after this long without use
  Time mta;    // how long the client waits for our reply after end of data
  // When we reply at the latest: earlier than `mta` by a margin, so that the client does not give
  // up while our reply is on its way.
  Time answer() const { return mta - std::min<Time>(std::chrono::seconds(30), mta / 10); }
};

struct ProbeSettings {
  std::string recipient;
  std::chrono::milliseconds timeout{};  // for all of the probe
  std::vector<std::string> required;    // keywords that the store must offer
  bool monitor = false;
  long long warn_days = 0;
  long long critical_days = 0;
};

struct Settings {
  std::vector<Destination> destinations;
  std::vector<Store> stores;     // one for each destination, with the settings of its section
  int tcp_port = kLmtpPort;      // of DESTs without a port, on a system without the service lmtp
  StoreSettings store_defaults;  // what is set for every store; a section may override it
  IgnoreQuota ignore_quota = IgnoreQuota::kTagged;
  // Of the listener's section; none: that of the store's settings.
  std::optional<OverQuotaPolicy> over_quota;
  std::string tag_keys;  // a file, or "none"; empty: the default file, if it exists
  Keyring keys;
  TraceId trace_id;
  TraceSource trace = TraceSource::kTag;
  Utf8Headers utf8_headers = Utf8Headers::kAllow;
  Timeouts timeouts;
  std::optional<std::uint64_t> max_message_size;
  std::size_t max_rcpts = 0;
  std::size_t line_limit = 0;
  NulPolicy nul = NulPolicy::kPass;
  std::string spool_dir;
  std::string config_file;  // was read if it exists
  std::string user;         // to switch to; empty: the user that Sendmail set (U=)
  std::string log;
  LogLevel log_level = LogLevel::kInfo;
  std::vector<std::string> debug_peers;
  std::string transcript_dir;

  // deliver
  std::string sender;
  ProbeSettings probe;
  bool json = false;
  // serve
  ServeSettings serve;
  RouteSettings routes;

  OptionPlaces places;

  // Options that count for clients as well as for stores.
  const std::string& client_hostname() const { return store_defaults.hostname; }
  std::uint64_t client_min_data_rate() const { return store_defaults.min_data_rate; }
};

inline constexpr const char* kDefaultConfigFile = "/etc/lmtpq/lmtpq.conf";

enum class Command { kRelay, kDeliver, kProbe, kServe };

// The table; its readers write into `settings`, which must outlive it.
OptionTable option_table(Command command, Settings& settings);
// The options that a `[listener.NAME]` section may set.
OptionTable listener_table(Settings& settings);

// Reads the command's options into `settings`, from arguments and from lmtpq.conf.
OptionReader option_reader(Command command, Settings& settings);
// What `lmtpq COMMAND --help` or --help=all prints after the usage.
std::string options_help(Command command, HelpWish wish);
HelpWish wished_help(Command command, const std::vector<std::string>& arguments);

}  // namespace lmtpq::mailer

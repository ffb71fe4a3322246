// What the admin can set, as this program uses it.
//
// What it is: plain values (and the keys, read by main), and the one option table that fills them
// from defaults, file and argv
//   and that --help and the man page are checked against.
// What it does not know: how options are parsed (common/config), who acts on them.
// Called by: main, once; everything below gets a const Settings&.
// Threads and lifetimes: filled before anything else runs, then read only.
// Failure: ConfigError from the table's readers.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/log.h"
#include "common/tag/keyring.h"
#include "common/tag/trace_id.h"
#include "mailer/settings/destination.h"
#include "mailer/settings/route_settings.h"
#include "mailer/settings/serve_settings.h"
#include "mailer/settings/store_settings.h"

namespace lmtpq::mailer {

enum class IgnoreQuota { kAlways, kTagged, kNever };
enum class TraceSource { kTag, kQueueId, kOff };
enum class Utf8Headers { kAllow, kRefuse };

struct Timeouts {
  using Time = std::chrono::milliseconds;
  Time input;  // for the client, or standard input, to say something
  Time idle;   // an unused connection to the store is kept so long
  Time mta;    // how long the client waits behind its dot; the store's answers must fit in
  // When we answer at the latest: a margin earlier, or our answer and the end of the client's
  // patience would race.
  Time answer() const { return mta - std::min<Time>(std::chrono::seconds(30), mta / 10); }
};

struct Settings {
  std::vector<Destination> destinations;
  std::vector<Store> stores;  // the same, each with what is set for it
  StoreSettings store;        // what is set for all; of this, we are known to clients by hostname
  IgnoreQuota ignore_quota = IgnoreQuota::kTagged;
  std::string tag_keys;  // the file; none; empty: the default one, if it exists
  Keyring keys;
  TraceId trace_id;
  TraceSource trace = TraceSource::kTag;
  Utf8Headers utf8_headers = Utf8Headers::kAllow;
  Timeouts timeouts;
  std::optional<std::uint64_t> max_message_size;
  std::size_t max_rcpts = 0;
  std::size_t line_limit = 0;
  std::string spool_dir;
  std::string config_file;  // that was read, if it exists
  std::string user;         // empty: whom Sendmail's U= made us
  std::string log;
  LogLevel log_level = LogLevel::kInfo;
  std::vector<std::string> debug_peers;
  std::string transcript_dir;

  // deliver
  std::string sender;
  // probe
  std::string probe_recipient;
  bool json = false;
  // serve
  ServeSettings serve;
  RouteSettings routes;
};

inline constexpr const char* kDefaultConfigFile = "/etc/lmtpq/lmtpq.conf";

enum class Command { kRelay, kDeliver, kProbe, kServe };

// The table; its readers write into `settings`, which must outlive it.
std::vector<Option> option_table(Command command, Settings& settings);
// Of it, what a `[listener.NAME]` section may set.
std::vector<Option> listener_table(Settings& settings);

}  // namespace lmtpq::mailer

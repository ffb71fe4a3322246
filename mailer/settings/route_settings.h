// What the admin says about the way to a recipient's store.
//
// What it is: plain values, and the option table that fills them.
// What it does not know: libldap, who asks the maps.
// Called by: the daemon's settings; RouteFile and ldap_routes() get their part.
// Threads and lifetimes: filled before mail flows, then read only.
// Failure: ConfigError from the table's readers and from check().
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/secret.h"

namespace lmtpq::mailer {

enum class DirectoryTls { kNone, kStartTls };  // ldaps: stands in the URI

struct DirectorySettings {
  using Time = std::chrono::milliseconds;
  std::vector<std::string> uris;  // tried in order; empty: no directory is asked
  std::string base;
  std::string filter = "(|(mail=%s)(mailLocalAddress=%s))";  // as of LdapFilter
  std::string attribute;
  std::string bind_dn;        // empty: anonymous
  std::string password_file;  // holds the password of bind_dn
  DirectoryTls tls = DirectoryTls::kNone;
  std::string ca_file;    // empty: those of ldap.conf(5)
  Time timeout{};         // to connect, and for each answer
  Time cache{};           // an answer that names a store is believed so long,
  Time negative_cache{};  // one that names none, so long;
  Time stale{};           // so much longer the first, while the directory is out of reach
  std::size_t cache_size = 0;
};

struct RouteSettings {
  std::string file;  // empty: none
  DirectorySettings directory;
};

// The table; its readers write into `settings`, which must outlive it.
std::vector<Option> route_option_table(RouteSettings& settings);

// What no single option can know to be wrong: ConfigError.
void check(const RouteSettings& settings);

// The password of bind_dn; empty where there is none. `reader` is whom we shall run as.
Secret read_directory_password(const DirectorySettings& settings, uid_t reader);

}  // namespace lmtpq::mailer

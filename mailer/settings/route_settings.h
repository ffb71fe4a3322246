// The options that tell which store a recipient's mailbox is on: values, option table and checks.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/options/option_reader.h"
#include "common/secret.h"

namespace lmtpq::mailer {

enum class DirectoryTls { kNone, kStartTls };  // an ldaps:// URI has TLS anyway

struct DirectorySettings {
  using Time = std::chrono::milliseconds;
  std::vector<std::string> uris;  // tried in order; empty: there is no directory
  std::string base;
  std::string filter = "(|(mail=%s)(mailLocalAddress=%s))";  // as of LdapFilter
  std::string attribute;
  std::string bind_dn;        // empty: anonymous
  std::string password_file;  // holds the password of bind_dn
  DirectoryTls tls = DirectoryTls::kNone;
  std::string ca_file;    // empty: those of ldap.conf(5)
  Time timeout{};         // for connecting, and for a message's answers
  Time cache{};           // how long an answer that names a store is used
  Time negative_cache{};  // how long an answer that names no store is used
  Time stale{};           // how much longer the former, while the directory is down
  std::size_t cache_size = 0;
};

struct RouteSettings {
  std::string file;  // empty: none
  DirectorySettings directory;
};

// The table; its readers write into `settings`, which must outlive it.
OptionTable route_option_table(RouteSettings& settings);

// Checks that span several options; throws ConfigError.
void check(const RouteSettings& settings, const OptionPlaces& places);

// The password of bind_dn, or empty. `reader` is the user that lmtpq will run as.
// Throws ConfigError.
Secret read_directory_password(const DirectorySettings& settings, uid_t reader);

}  // namespace lmtpq::mailer

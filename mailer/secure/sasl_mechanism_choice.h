// Which SASL mechanism to use, among those that a store offers.
//
// The list of libsasl2's client plugins, strongest first, and the choice among the words after AUTH
// by the configuration, our credentials, and the connection.
//
// The plugins are loaded once per process, at the first call, which takes several milliseconds:
// call this only if a login is configured. May be used by several threads. libsasl2 writes nothing,
// except to syslog's auth facility about a plugin that it cannot load.
//
// The store's list cannot be trusted: without TLS an attacker can remove its stronger words. Only
// the configuration (--auth-mechanisms, --auth-security, --auth-plaintext) limits what we use. In
// TLS, SCRAM tells the server what we saw of channel binding: if we could have used it but no -PLUS
// was offered, a server that supports it ends the exchange.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mailer/io/sasl.h"
#include "mailer/settings/auth_settings.h"

namespace lmtpq::mailer {

struct SaslPlugin {
  std::string name;           // "SCRAM-SHA-256": never -PLUS
  unsigned security = 0;      // SASL_SEC_*: its properties
  bool binds = false;         // NAME-PLUS is its name with channel binding
  bool server_first = false;  // the server sends first
  bool needs_login = false;   // a user and a password
};

// libsasl2's plugins on this machine, in the order in which it prefers them. Empty: `failure` says
// why.
const std::vector<SaslPlugin>& sasl_plugins(std::string& failure);

// libsasl2's SASL_SEC_* for a set of AuthSecurity.
unsigned sasl_security_flags(unsigned security);

struct SaslChoice {
  enum class Binding {
    kNone,    // not mentioned
    kMissed,  // we could use it, but the server does not offer it
    kUsed,    // NAME-PLUS
  };
  SaslPlugin plugin;
  Binding binding = Binding::kNone;

  std::string name() const { return plugin.name + (binding == Binding::kUsed ? "-PLUS" : ""); }
};

struct SaslChoices {
  std::vector<SaslChoice> fitting;  // strongest first
  std::string offered;              // the valid words among those offered, for the log
  std::string objections;           // why the others cannot be used: "PLAIN LOGIN: would send ..."
};

// Those of `names` for which no plugin is installed.
std::vector<std::string> unknown_mechanisms(const std::vector<SaslPlugin>& plugins,
                                            const std::vector<std::string>& names);

// `offered`: what the store's LHLO reply has after AUTH.
SaslChoices choose_mechanisms(const std::vector<SaslPlugin>& plugins, std::string_view offered,
                              const AuthSettings& settings, const Login& login,
                              const SaslSurroundings& surroundings);

}  // namespace lmtpq::mailer

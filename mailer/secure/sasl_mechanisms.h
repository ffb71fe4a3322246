// Which SASL mechanism to begin with, among those that a store offers.
//
// What it is: the list of libsasl2's client plugins, strongest first, and the choice among the
//   words behind AUTH by what the admin wants, what we have to log in with, and what lies below.
// What it does not know: the exchange itself, the AUTH command.
// Called by: SaslClient.
// Threads and lifetimes: the plugins are loaded once for the process, at the first call, which
//   takes some milliseconds: nobody may ask who wants no login. Pure otherwise; may be used by
//   several threads.
// Failure: words, for the log. libsasl2 itself writes nothing, but for a plugin that it cannot
//   load: that goes to syslog's auth facility.
//
// The list that the store sends is nobody's promise: without TLS whoever sits in between can strike
// its stronger words out. What holds then is the admin's word (--auth-mechanisms, --auth-security,
// --auth-plaintext), never the list. In TLS, SCRAM tells the server what we saw of channel binding:
// where we could have used it and no -PLUS was offered, a server that has it ends the exchange.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mailer/io/sasl.h"
#include "mailer/settings/auth_settings.h"

namespace lmtpq::mailer {

struct SaslPlugin {
  std::string name;           // "SCRAM-SHA-256": never -PLUS
  unsigned security = 0;      // SASL_SEC_*: what it is not
  bool binds = false;         // NAME-PLUS is its name with channel binding
  bool server_first = false;  // the first word is the server's
  bool needs_login = false;   // a user and a password
};

// What libsasl2 has here, in the order in which it prefers them; empty: `failure` says why.
const std::vector<SaslPlugin>& sasl_plugins(std::string& failure);

struct SaslChoice {
  enum class Binding {
    kNone,    // not spoken of
    kMissed,  // we could, the server does not offer it
    kUsed,    // NAME-PLUS
  };
  SaslPlugin plugin;
  Binding binding = Binding::kNone;

  std::string name() const { return plugin.name + (binding == Binding::kUsed ? "-PLUS" : ""); }
};

struct SaslChoices {
  std::vector<SaslChoice> fitting;  // strongest first
  std::string offered;              // the legal words among those offered, for the log
  std::string objections;           // why the others do not fit: "PLAIN LOGIN would send ...; ..."
};

// `offered`: the words behind AUTH, anything else between them.
SaslChoices choose_mechanisms(const std::vector<SaslPlugin>& plugins, std::string_view offered,
                              const AuthSettings& settings, const Login& login,
                              const SaslSurroundings& surroundings);

}  // namespace lmtpq::mailer

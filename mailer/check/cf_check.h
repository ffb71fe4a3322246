// `lmtpq check --cf`: whether a sendmail.cf is complete for lmtpq, before Sendmail reads it.
//
// Rulesets are not run and maps are not read. Connects to the milter's socket, and to the sockets
// that mailers dial if lmtpq.conf has no listener there. Changes nothing.
#pragma once

#include <string>

namespace lmtpq::mailer {

struct CfCheck {
  std::string file;           // sendmail.cf
  std::string config;         // lmtpq.conf, for the listeners of the daemon
  std::string milter_config;  // milter.conf
};

// Prints what is wrong to standard error, as FILE:LINE: error|warning: TEXT, and to standard output
// one line that says where mail for local users goes. Returns 0, or EX_CONFIG if there is an error.
int check_cf(const CfCheck& check);

}  // namespace lmtpq::mailer

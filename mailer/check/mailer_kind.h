// Which mailers of a sendmail.cf run lmtpq, or dial its daemon, and so remove tags.
//
// A mailer that dials a socket may look like the stock one in every letter: it is the daemon's if
// lmtpq.conf has a listener there, or if lmtpq greets there. Used by one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mailer/check/sendmail_cf.h"

namespace lmtpq::mailer {

// How mail leaves by a mailer.
enum class MailerKind {
  kProgram,   // runs lmtpq
  kDaemon,    // dials lmtpq serve
  kNextHost,  // SMTP: whether the tag is removed is up to the next host
  kOther,
};

// Addresses of the daemon, for mailers that dial it.
struct DaemonListener {
  std::string address;  // as Destination::text
  bool ignores_quota = false;
};
// Of this lmtpq.conf; empty where it cannot be read.
std::vector<DaemonListener> listeners_of(const std::string& config);

// Where a mailer of the network dials to: a DEST. nullopt: a program, or a host that is known only
// when there is mail.
std::optional<std::string> dialled_by(const CfEntry& mailer);

// Asks the socket for its greeting if no listener has its address.
MailerKind kind_of(const CfEntry& mailer, const std::vector<DaemonListener>& listeners);

}  // namespace lmtpq::mailer

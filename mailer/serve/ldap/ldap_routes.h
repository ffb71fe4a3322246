// Routes out of an LDAP directory.
//
// What it is: DirectoryRoutes over libldap.
// What it does not know: what the answers mean (DirectoryRoutes), who asks.
// Called by: the daemon, at start and by SIGHUP.
// Threads and lifetimes: what it makes may be used by several threads; the log must outlive it. A
//   connection is used by one thread at a time, as libldap demands of a handle.
// Failure: ConfigError for what libldap cannot even begin with. A directory that is out of reach is
//   no error here: it may come.
// Rules: simple binds only (RFC 4513 section 5.1), also without a name, since a bind shows that
//   the directory answers. With TLS its certificate must be good, whatever ldap.conf(5) says. No
//   referral is followed. A name that the DNS does not answer for holds one thread as long as
//   resolv.conf(5) lets it.
#pragma once

#include <memory>

#include "common/log.h"
#include "common/secret.h"
#include "mailer/routes/routes.h"
#include "mailer/settings/route_settings.h"

namespace lmtpq::mailer {

// libldap's first call sets libsasl2's locks for the whole process, and starts it: to be done
// before there are threads, and after mailer/secure has been loaded, whose callbacks count then.
void prepare_ldap();

std::unique_ptr<Routes> ldap_routes(const DirectorySettings& settings, Secret password,
                                    const Log& log);

}  // namespace lmtpq::mailer

// An LDAP directory as a source of routes: LdapDirectory (in the .cpp) under DirectoryRoutes.
//
// Simple binds only (RFC 4513 section 5.1), also without a name, since a bind shows that the
// directory answers. With TLS the certificate must be valid, whatever ldap.conf(5) says. Referrals
// are not followed. A name that the DNS does not answer blocks one thread for as long as
// resolv.conf(5) allows.
//
// What a directory sends is limited, so that one that sends without end takes no memory; a look-up
// that needs more is lost (kTooLong).
//
// May be used by several threads; each connection is used by one at a time, as libldap requires.
// The log and `look_ups` must outlive it. ConfigError for settings that libldap rejects; a
// directory that cannot be reached is no error here, since it may come back.
#pragma once

#include <memory>

#include "common/log/log.h"
#include "common/secret.h"
#include "mailer/io/cuttable_work.h"
#include "mailer/routes/routes.h"
#include "mailer/settings/route_settings.h"

namespace lmtpq::mailer {

// libldap's first call initializes libsasl2 and its locks for the whole process. Call this before
// there are threads, and after mailer/secure was loaded, so that its callbacks are the ones used.
void prepare_ldap();

std::unique_ptr<Routes> ldap_routes(const DirectorySettings& settings, Secret password,
                                    const Log& log, CuttableWork& look_ups);

}  // namespace lmtpq::mailer

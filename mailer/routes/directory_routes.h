// Routes as a directory has them, in an attribute of each recipient's entry (mailHost).
//
// What it is: which questions are asked for a recipient, what their answers mean, and for how long
//   they are believed.
// What it does not know: libldap (Directory), connections and their health (DirectoryPool).
// Called by: FanOut, through Routes.
// Threads and lifetimes: may be used by several threads.
// Failure: temporary outcomes with words: a directory that does not answer (unless an answer of
//   some minutes ago is known), entries that contradict each other, a value that is no DEST.
// Rules: asked are, until one has the attribute, the address, the address without +detail, and
//   "@domain", as Sendmail's FEATURE(ldap_routing) does. None has it: the default destinations.
#pragma once

#include <functional>
#include <string>

#include "common/log.h"
#include "mailer/routes/directory_pool.h"
#include "mailer/routes/route_address.h"
#include "mailer/routes/route_cache.h"
#include "mailer/routes/routes.h"
#include "mailer/settings/ldap_filter.h"
#include "mailer/settings/route_settings.h"

namespace lmtpq::mailer {

class DirectoryRoutes : public Routes {
 public:
  using Now = DirectoryPool::Now;

  DirectoryRoutes(const DirectorySettings& settings, OpenDirectory open, const Log& log,
                  DirectoryPool::Limits limits, Now now = &Clock::now);

  Route find(const Mailbox& recipient) override;

 private:
  Route look_up(std::string_view local, std::string_view domain);
  Route ask(const std::string& question);
  Route stale_or(const std::string& question, Outcome outcome);
  void remember(const std::string& question, const Route& route);

  const DirectorySettings settings_;
  const LdapFilter filter_;
  const Log& log_;
  const Now now_;
  DirectoryPool pool_;
  RouteCache cache_;
};

}  // namespace lmtpq::mailer

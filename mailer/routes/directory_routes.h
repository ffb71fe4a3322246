// Routes from a directory, where an attribute of a recipient's entry names the store (mailHost).
//
// The directory is searched for the address, then for the address without +detail, then for
// "@domain", as Sendmail's FEATURE(ldap_routing) does, until an entry has the attribute. If none
// has it, there is no route. Answers are cached; while the directory is down, expired answers that
// name a store are used for some time longer.
//
// May be used by several threads. These failures are temporary outcomes: the directory does not
// answer, two entries name different stores, or a value is not a DEST.
#pragma once

#include <functional>
#include <string>

#include "common/log/log.h"
#include "mailer/routes/directory_pool.h"
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
  Route stale_or(const std::string& question, Outcome failure);
  void remember(const std::string& question, const Route& route);

  const DirectorySettings settings_;
  const LdapFilter filter_;
  const Log& log_;
  const Now now_;
  DirectoryPool pool_;
  RouteCache cache_;
};

}  // namespace lmtpq::mailer

// Routes from a directory, where an attribute of a recipient's entry names the store (mailHost).
//
// The directory is searched for the address, then for the address without +detail, then for
// "@domain", as Sendmail's FEATURE(ldap_routing) does, until an entry has the attribute. If none
// has it, there is no route. Answers are cached; while the directory is down, expired answers that
// name a store are used for some time longer. The recipients of a message are looked up side by
// side, and one deadline ends all of it.
//
// May be used by several threads. CuttableWork::cut() ends all look-ups, which fail; it must
// outlive the routes. These failures are temporary outcomes: the directory does not answer, two
// entries name different stores, or a value is not a DEST.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/log/log.h"
#include "mailer/io/cuttable_work.h"
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
                  CuttableWork& look_ups, DirectoryPool::Limits limits, Now now = &Clock::now);

  Route find(const Mailbox& recipient) override;
  std::vector<Route> find_all(const Mailboxes& recipients) override;

 private:
  enum class Step { kAddress, kWithoutDetail, kDomain };

  std::optional<std::string> question_of(const RouteAddress& address, Step step) const;
  std::vector<Directory::Result> search(const Filters& filters, Deadline& latest);
  std::vector<Route> look_up(const Filters& questions, Deadline& latest);
  Route route_for(const std::string& question, const Directory::Result& result);
  Route stale_or(const std::string& question, Outcome failure);
  void remember(const std::string& question, const Route& route);

  const DirectorySettings settings_;
  const LdapFilter filter_;
  const Log& log_;
  const Now now_;
  CuttableWork& look_ups_;
  const std::shared_ptr<DirectoryPool> pool_;  // also of look-ups that were cut
  RouteCache cache_;
};

}  // namespace lmtpq::mailer

// In the place of all other files here where lmtpq is built without LDAP.

#include "mailer/serve/ldap/ldap_directory.h"
#include "mailer/settings/build_features.h"

namespace lmtpq::mailer {

void prepare_ldap() { require(kLdap, "--route-ldap"); }

std::unique_ptr<Routes> ldap_routes(const DirectorySettings& /*settings*/, Secret /*password*/,
                                    const Log& /*log*/, CuttableWork& /*look_ups*/) {
  require(kLdap, "--route-ldap");
  return nullptr;
}

}  // namespace lmtpq::mailer

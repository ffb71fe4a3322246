#include "mailer/settings/build_features.h"

#include "common/config_error.h"

namespace lmtpq::mailer {

constexpr Feature kLdap{"LDAP", "WITH_LDAP", LMTPQ_WITH_LDAP};
constexpr Feature kSasl{"SASL", "WITH_SASL", LMTPQ_WITH_SASL};
constexpr Feature kSystemd{"systemd", "WITH_SYSTEMD", LMTPQ_WITH_SYSTEMD};
constexpr Feature kPrometheus{"Prometheus", "WITH_PROMETHEUS", LMTPQ_WITH_PROMETHEUS};

void require(const Feature& feature, const std::string& option) {
  if (!feature.built_in) {
    throw ConfigError(option + ": this lmtpq was built without " + feature.name + " (" +
                      feature.variable + "=no)");
  }
}

std::string version_text() {
  std::string with;
  std::string without;
  for (const Feature* const feature : {&kLdap, &kSasl, &kSystemd, &kPrometheus}) {
    (feature->built_in ? with : without) += std::string(" ") + feature->name;
  }
  return std::string("lmtpq ") + LMTPQ_VERSION + "\n" +
         (with.empty() ? "" : "with:" + with + "\n") +
         (without.empty() ? "" : "without:" + without + "\n");
}

}  // namespace lmtpq::mailer

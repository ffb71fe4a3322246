#include "mailer/settings/build_features.h"

#include "common/config_error.h"
#include "common/version.h"

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

namespace {

std::string listed(bool built_in) {
  std::string names;
  for (const Feature* const feature : {&kLdap, &kSasl, &kSystemd, &kPrometheus}) {
    if (feature->built_in == built_in) {
      names += (names.empty() ? "" : " ") + std::string(feature->name);
    }
  }
  return names;
}

}  // namespace

std::string built_in_features() { return listed(true); }

std::string version_text() {
  const std::string with = listed(true);
  const std::string without = listed(false);
  return std::string("lmtpq ") + kVersion + "\n" + (with.empty() ? "" : "with: " + with + "\n") +
         (without.empty() ? "" : "without: " + without + "\n");
}

}  // namespace lmtpq::mailer

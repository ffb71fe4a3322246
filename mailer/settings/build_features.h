// The parts that a build may leave out: make WITH_LDAP=no, WITH_SASL=no, WITH_SYSTEMD=no,
// WITH_PROMETHEUS=no.
//
// Only this module knows which of them are there. For a part that is left out, the Makefile
// compiles no_NAME.cpp instead of its sources.
#pragma once

#include <string>

namespace lmtpq::mailer {

struct Feature {
  const char* name;      // as --version shows it
  const char* variable;  // of make
  bool built_in;
};

extern const Feature kLdap;
extern const Feature kSasl;
extern const Feature kSystemd;
extern const Feature kPrometheus;

// ConfigError where the feature is missing, which `option` needs.
void require(const Feature& feature, const std::string& option);

// The features of this build, for a metric: "LDAP SASL systemd Prometheus".
std::string built_in_features();

// What --version prints: the version, the features of this build, and those that it lacks.
std::string version_text();

}  // namespace lmtpq::mailer

// In the place of all other files here where lmtpq is built without Prometheus.

#include <cstdlib>

#include "mailer/serve/metrics/metrics_endpoint.h"
#include "mailer/settings/build_features.h"

namespace lmtpq::mailer {

struct MetricsEndpoint::Server {};

MetricsEndpoint::MetricsEndpoint(const std::string& /*address*/, const OpenSocket& /*open*/,
                                 const DaemonParts& /*daemon*/) {
  require(kPrometheus, "--metrics");
}

MetricsEndpoint::~MetricsEndpoint() = default;

// There is no endpoint.
ListeningSocket& MetricsEndpoint::socket() const { std::abort(); }

void MetricsEndpoint::restore(const Log& /*log*/) {}

}  // namespace lmtpq::mailer

// In the place of all other files here where lmtpq is built without Prometheus.

#include "mailer/serve/metrics/metrics_endpoint.h"
#include "mailer/settings/build_features.h"

namespace lmtpq::mailer {

struct MetricsEndpoint::Server {};

MetricsEndpoint::MetricsEndpoint(const std::string& /*address*/, const DaemonParts& /*daemon*/) {
  require(kPrometheus, "--metrics");
}

MetricsEndpoint::~MetricsEndpoint() = default;

}  // namespace lmtpq::mailer

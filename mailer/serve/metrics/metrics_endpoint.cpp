#include "mailer/serve/metrics/metrics_endpoint.h"

#include <prometheus/exposer.h>

#include <exception>
#include <vector>

#include "common/config_error.h"
#include "mailer/serve/metrics/metrics.h"

namespace lmtpq::mailer {

struct MetricsEndpoint::Server {
  std::shared_ptr<Metrics> metrics;
  prometheus::Exposer exposer;
};

namespace {

// One thread answers; a client that sends or reads nothing blocks it for this long.
constexpr const char* kRequestTimeout = "2000";  // milliseconds

std::vector<std::string> server_options(const std::string& address) {
  return {"listening_ports",   address, "num_threads",        "1",
          "enable_keep_alive", "no",    "request_timeout_ms", kRequestTimeout};
}

}  // namespace

MetricsEndpoint::MetricsEndpoint(const std::string& address, const DaemonParts& daemon) try
    : server_(new Server{std::make_shared<Metrics>(daemon),
                         prometheus::Exposer(server_options(address))}) {
  server_->exposer.RegisterCollectable(server_->metrics);
} catch (const std::exception& error) {
  throw ConfigError('"' + address + "\": cannot listen: " + error.what() +
                    "; name a free ADDRESS:PORT of this host");
}

MetricsEndpoint::~MetricsEndpoint() = default;

}  // namespace lmtpq::mailer

// In the place of service_manager.cpp where lmtpq is built without systemd.

#include <unistd.h>

#include <cstdlib>

#include "mailer/serve/systemd/service_manager.h"
#include "mailer/settings/build_features.h"

namespace lmtpq::mailer {

std::vector<PassedDescriptor> passed_descriptors() {
  const char* const receiver = std::getenv("LISTEN_PID");
  if (receiver != nullptr && receiver == std::to_string(getpid())) {
    require(kSystemd, "the sockets that systemd passes");
  }
  return {};
}

void notify_service_manager(const std::string& /*lines*/) {}
void beat_service_manager(const std::string& /*lines*/) {}

}  // namespace lmtpq::mailer

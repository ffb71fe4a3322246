#include "milter/service.h"

#include <utility>

namespace lmtpq::milter {

ConfigurationPtr Service::configuration() const {
  const std::lock_guard lock(mutex_);
  return configuration_;
}

void Service::replace(ConfigurationPtr configuration) {
  // The old one may end here, and wiping keys needs no lock.
  const std::lock_guard lock(mutex_);
  configuration_.swap(configuration);
}

}  // namespace lmtpq::milter

#include "milter/shared_state.h"

#include <utility>

namespace lmtpq::milter {

ConfigurationPtr SharedState::configuration() const {
  const std::lock_guard lock(mutex_);
  return configuration_;
}

void SharedState::replace(ConfigurationPtr configuration) {
  // The old one may end here, and wiping keys needs no lock.
  const std::lock_guard lock(mutex_);
  configuration_.swap(configuration);
}

}  // namespace lmtpq::milter

// What the service manager, systemd, passes to the daemon at start, and what it is told.
#pragma once

#include <string>
#include <vector>

#include "common/descriptor.h"

namespace lmtpq::mailer {

struct PassedDescriptor {
  std::string name;  // its FileDescriptorName=
  Descriptor socket;
};

// The sockets of our .socket units (sd_listen_fds(3)); the second call has none.
std::vector<PassedDescriptor> passed_descriptors();

// Lines of NAME=VALUE (sd_notify(3)). Without a service manager that listens, nothing happens.
void notify_service_manager(const std::string& lines);

}  // namespace lmtpq::mailer

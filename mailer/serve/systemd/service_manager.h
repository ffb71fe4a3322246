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

// Lines of NAME=VALUE, as sd_notify(3) sends them, but without a wait: that one waits as long as
// the service manager does not read. What cannot be sent now is kept, and sent at a later call, in
// order. Without a service manager nothing happens. For the main thread.
void notify_service_manager(const std::string& lines);
// Lines that are of no use later: they are not kept. Empty: sends what was kept only.
void beat_service_manager(const std::string& lines);

}  // namespace lmtpq::mailer

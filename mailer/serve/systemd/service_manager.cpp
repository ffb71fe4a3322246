#include "mailer/serve/systemd/service_manager.h"

#include <fcntl.h>
#include <systemd/sd-daemon.h>

#include <cstdlib>

namespace lmtpq::mailer {

std::vector<PassedDescriptor> passed_descriptors() {
  std::vector<PassedDescriptor> passed;
  char** names = nullptr;
  const int count = sd_listen_fds_with_names(1, &names);
  for (int i = 0; i < count; ++i) {
    const int number = SD_LISTEN_FDS_START + i;
    fcntl(number, F_SETFD, FD_CLOEXEC);
    passed.push_back({names[i], Descriptor(number)});
    free(names[i]);
  }
  free(names);
  return passed;
}

void notify_service_manager(const std::string& lines) { sd_notify(0, lines.c_str()); }

}  // namespace lmtpq::mailer

// Settings from the text of a file, for the tests of PoolRegistry and Configuration, and a log that
// is discarded. ConfigError for wrong text.
#pragma once

#include <string>
#include <vector>

#include "common/log/log.h"
#include "mailer/message/delivery_events.h"
#include "mailer/serve/pools/pool_registry.h"
#include "mailer/settings/load_settings.h"
#include "mailer/settings/secrets.h"
#include "tests/unit/common/scratch_file.h"

namespace lmtpq::mailer {

class DaemonFixture : public ScratchFileFixture {
 public:
  DaemonFixture() : ScratchFileFixture("lmtpq.conf"), log_("test", "/dev/null", LogLevel::kInfo) {}

 protected:
  DaemonSettings settings(const std::string& text) const {
    write("tls = none\ntag-keys = none\n" + text);
    DaemonSettings made = load_daemon_settings({"--config=" + file_});
    read_secrets(made);
    return made;
  }
  void write_passwords(const std::string& text) const {
    std::ofstream(passwords()) << text;
    CPPUNIT_ASSERT_EQUAL(0, chmod(passwords().c_str(), 0600));
  }
  std::string passwords() const { return folder_ + "/passwords"; }

  Log log_;
  DeliveryEvents events_;
  PoolRegistry registry_{log_, events_};
};

}  // namespace lmtpq::mailer

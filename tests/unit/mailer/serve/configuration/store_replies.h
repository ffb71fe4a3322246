// Settings for the tests of pools and sites, as a file says them.
//
// What it is: the daemon's settings from a text, and a log that nobody reads.
// What it does not know: what is made of them.
// Called by: the tests of PoolRegistry and Configuration.
// Threads and lifetimes: a test's.
// Failure: ConfigError.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/common/scratch_file.h"
#include "common/log.h"
#include "mailer/message/delivery_events.h"
#include "mailer/serve/pools/pool_registry.h"
#include "mailer/settings/load.h"
#include "mailer/settings/secrets.h"

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
  DeliveryEvents meter_;
  PoolRegistry book_{log_, meter_};
};

}  // namespace lmtpq::mailer

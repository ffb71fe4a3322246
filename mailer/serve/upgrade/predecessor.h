// The running daemon, as the process that takes its place in an upgrade sees it (Successor is the
// other side).
//
// Made first of all. What was handed over belongs to both processes until wait_for_go(): before it
// nothing may be removed. Used by the main thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/descriptor.h"
#include "mailer/serve/listeners/listening_socket.h"
#include "mailer/serve/systemd/service_manager.h"

namespace lmtpq::mailer {

class Predecessor {
 public:
  // Holds the pid of the daemon that has started this process.
  static constexpr const char* kVariable = "LMTPQ_UPGRADE_FROM";

  // Nullopt: this process was started by another program. Takes all that is handed over, and
  // standard error. std::runtime_error: the daemon has ended in the meantime.
  static std::optional<Predecessor> find();

  // Sockets that systemd passed to the daemon; the second call has none.
  std::vector<PassedDescriptor> passed();
  // The socket with this address, once; nullopt: there is none.
  std::optional<HandedSocket> socket(const std::string& address);
  std::chrono::steady_clock::time_point memory_upgrade_not_before() const { return not_before_; }

  // This process can serve. Returns when the daemon has stopped accepting; std::runtime_error if it
  // goes on itself.
  void wait_for_go();
  // The sockets that nothing here uses: their listeners are no longer configured.
  std::vector<HandedSocket> left() { return std::move(sockets_); }
  // Why this process cannot start, which the daemon logs. False: it is no longer there, or has
  // stopped accepting.
  bool fail(const std::string& why) const;

 private:
  void take(struct UpgradeMessage message);

  Descriptor channel_;
  std::vector<PassedDescriptor> passed_;
  std::vector<HandedSocket> sockets_;
  std::chrono::steady_clock::time_point not_before_;
};

}  // namespace lmtpq::mailer

// The listening socket of one destination: unix, or TCP on loopback with small buffers.
//
// Used by the binary player. std::runtime_error where the system has no socket.
#pragma once

#include <string>

#include "common/descriptor.h"

namespace dialogues {

class Listener {
 public:
  Listener(bool inet, const std::string& path);
  int number() const { return socket_.number(); }
  const std::string& destination() const { return destination_; }
  // Non-blocking, closed on exec.
  lmtpq::Descriptor accept() const;
  // From now on connections are refused.
  void stop();

 private:
  lmtpq::Descriptor socket_;
  std::string destination_;
  std::string path_;
};

}  // namespace dialogues

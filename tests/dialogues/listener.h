// The listening socket of one destination: unix, or TCP on loopback with small buffers. The port of
// one that never listens is taken too, so that connections to it are refused.
//
// Used by the binary player. std::runtime_error where the system has no socket.
#pragma once

#include <string>

#include "common/descriptor.h"

namespace dialogues {

class Listener {
 public:
  Listener(bool inet, const std::string& path, bool listens);
  int number() const { return listens_ ? socket_.number() : -1; }  // for poll(2)
  const std::string& destination() const { return destination_; }
  // Non-blocking, closed on exec.
  lmtpq::Descriptor accept() const;
  // From now on connections are refused.
  void stop();

 private:
  lmtpq::Descriptor socket_;
  std::string destination_;
  std::string path_;
  bool listens_;
};

}  // namespace dialogues

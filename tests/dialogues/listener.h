// Where a destination's connections arrive.
//
// What it is: a listening socket, unix or TCP on loopback with small buffers, and its DEST.
// What it does not know: who answers.
// Called by: the binary player.
// Threads and lifetimes: one dialogue; move only.
// Failure: std::runtime_error when the system has no socket for us.
#pragma once

#include <string>

#include "mailer/io/descriptor_channel.h"

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

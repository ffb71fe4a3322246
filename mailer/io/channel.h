// A byte stream to a peer, with deadlines.
//
// What it is: the seam between the conversations (session, upstream) and the world: a pair of
//   descriptors, later TLS over one, a script in the tests.
// What it does not know: LMTP, who the peer is.
// Called by: Session and Upstream; made by a Dialer or by a front.
// Threads and lifetimes: owned by one conversation on one thread; destruction closes.
// Failure: a status; failure() then has the words for the log.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace lmtpq::mailer {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

enum class IoStatus {
  kProgress,  // bytes were read or written
  kTimeout,   // the deadline passed without either
  kClosed,    // the peer will send no more, and all it sent has been read; said once, after which
              // writing may go on (a script's `printf ... | lmtpq relay` wants its answers)
  kFailed,    // the system says no
};

class Channel {
 public:
  virtual ~Channel() = default;

  // Waits until the peer sent something, which is appended to `in`, or took bytes from `out`, which
  // are removed from its front. What can be read is read first: nobody may write the end of a
  // message past an answer that has arrived already. Reads even while there is much to write, so
  // that two peers with full buffers never wait for each other.
  virtual IoStatus exchange(std::string_view& out, std::string& in, Deadline deadline) = 0;

  // False when the peer has closed or sent something; asked of a connection that should be idle.
  virtual bool quiet() = 0;

  // Ends it at once, from another thread: who waits in exchange() sees the peer go.
  virtual void cut() {}

  virtual const std::string& failure() const = 0;
};

// Writes all of `bytes`, even to a peer that has ended its own side; what it sends meanwhile goes
// to `in`. False: not everything was taken by the deadline. `ended` is set where it shows that the
// peer has ended its own side.
bool write_all(Channel& channel, std::string_view bytes, std::string& in, Deadline deadline,
               bool* ended = nullptr);

}  // namespace lmtpq::mailer

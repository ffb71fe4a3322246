// A byte stream to a peer, with deadlines.
//
// The interface between the conversations (LmtpSession, Upstream) and the world: a pair of
// descriptors, TLS over one, or a script in the tests. One conversation, on one thread or fiber,
// owns it; destruction closes it. A failure is an IoStatus; failure() then has the text for the
// log.
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
  kClosed,    // the peer will send no more, and all it sent has been read. The first time, writing
              // may go on: a script's `printf ... | lmtpq relay` waits for its replies
  kFailed,    // a system call failed
};

// Whether a peer that waits for us is there.
enum class Presence {
  kThere,     // as far as can be known
  kFinished,  // it will send no more, and no complete line of it is unread; it may still read
  kGone,      // it reads nothing any more
};

class Channel {
 public:
  virtual ~Channel() = default;

  // Waits until the peer sent something, which is appended to `in`, or took bytes from `out`, which
  // are removed from its front. If a byte can be read, it is read before any is written: the end of
  // a message must not be written after a reply has arrived. Reads even while there is much to
  // write, so that two peers with full buffers never wait for each other.
  virtual IoStatus exchange(std::string_view& out, std::string& in, Deadline deadline) = 0;

  // For a connection that should be idle. False: the peer has closed it or sent something.
  virtual bool quiet() = 0;

  // For a client that waits for replies. Neither waits nor reads, so that another thread may call
  // them while the channel's own does not use it. write_now() removes from the front of `out` what
  // the peer takes at once; errors show at the next exchange(). Two pipes have a kFinished peer
  // never: a script's input may end long before it has read our replies.
  virtual Presence presence() const { return Presence::kThere; }
  virtual void write_now(std::string_view& /*out*/) noexcept {}

  // For a client that has ended its side, or whose connection we end. True: it has all that was
  // written, or can still read it. False: it has closed before, or over TCP has not acknowledged
  // all by `latest`. Only after a write a TCP client that has closed does not look like one that
  // can still read.
  virtual bool took_all(Deadline /*latest*/) const { return true; }

  // Of a client that sent something after we wrote: whether it can have read all of that. Over TCP
  // it has acknowledged all.
  virtual bool may_have_read() const { return true; }

  // Waits, at most until `latest`, for a client that has sent its last command. True: it has read
  // all, or has ended its side after it had all. False: it has closed before, or over TCP shows
  // nothing by `latest`.
  virtual bool await_reader(Deadline /*latest*/) const { return true; }

  // Ends it at once, from another thread: a waiting exchange() returns as if the peer had closed
  // it.
  virtual void cut() {}

  virtual const std::string& failure() const = 0;
};

// Writes all of `bytes`, even to a peer that will send no more; what it sends in the meantime goes
// to `in`. False: the peer did not take everything by the deadline. write_front() removes what was
// written from `bytes`.
bool write_front(Channel& channel, std::string_view& bytes, std::string& in, Deadline deadline);
bool write_all(Channel& channel, std::string_view bytes, std::string& in, Deadline deadline);

}  // namespace lmtpq::mailer

// A Channel over file descriptors: a socket, or Sendmail's two pipes.
//
// What it is: poll(2), read(2) and write(2) with a deadline; owner of its descriptors.
// What it does not know: how they were opened, the bytes' meaning.
// Called by: socket_dialer (store), the stdio front (Sendmail).
// Threads and lifetimes: one thread. Descriptors are closed on destruction.
// Failure: IoStatus, and failure() with strerror's words.
#pragma once

#include <memory>

#include "common/descriptor.h"
#include "mailer/io/channel.h"
#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

class DescriptorChannel : public Channel {
 public:
  // One descriptor for both directions, or one for each.
  explicit DescriptorChannel(Descriptor both);
  DescriptorChannel(Descriptor in, Descriptor out);

  // TCP: for so many writes, the peer's answer is acknowledged at once. A server that writes twice
  // (Cyrus: TLS 1.3's session tickets, then its reply) else waits for our delayed ACK, 40 ms.
  void acknowledge_at_once(int writes) { at_once_ = writes; }

  // What is to be written need not wait for a look at what has come: for a peer whose early words
  // change nothing of what we say.
  void write_first() { write_first_ = true; }

  IoStatus exchange(std::string_view& out, std::string& in, Deadline deadline) override;
  bool quiet() override;
  void cut() override;
  const std::string& failure() const override { return failure_; }

 private:
  IoStatus exchange_by_poll(std::string_view& out, std::string& in, bool read, bool write,
                            Deadline deadline);
  bool try_exchange(std::string_view& out, std::string& in, bool read, IoStatus& status);
  IoStatus await_input(std::string& in, Deadline deadline);
  IoStatus exchange_on_fiber(Scheduler& scheduler, std::string_view& out, std::string& in,
                             bool read, bool write, Deadline deadline);
  bool be_patient(Deadline deadline);
  IoStatus read_some(std::string& in);
  ssize_t receive(int flags);
  IoStatus heard(ssize_t count, std::string& in);
  IoStatus write_some(std::string_view& out);
  IoStatus failed(const char* what);

  Descriptor in_;
  Descriptor out_;  // invalid: in_ serves both
  bool out_is_socket_;
  bool in_is_socket_;
  std::chrono::milliseconds patience_{0};  // SO_RCVTIMEO; 0: never set
  bool write_first_ = false;
  bool writable_ = true;
  bool streaming_ = false;  // the last read was a large one: there may be more at once
  int at_once_ = 0;
  bool end_seen_ = false;
  std::unique_ptr<char[]> buffer_;
  std::string failure_;
};

}  // namespace lmtpq::mailer

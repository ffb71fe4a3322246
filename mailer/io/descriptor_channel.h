// A Channel over file descriptors: a socket, or Sendmail's two pipes.
//
// It owns its descriptors and closes them on destruction. One thread uses it, or one fiber; a fiber
// needs a socket. Failures are an IoStatus, with the text of strerror(3) in failure().
#pragma once

#include <memory>
#include <optional>

#include "common/descriptor.h"
#include "mailer/io/channel.h"
#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

class DescriptorChannel : public Channel {
 public:
  // Which comes first when there are bytes to read and bytes to write.
  enum class Order {
    kReadFirst,  // as Channel requires it
    // For a peer whose early input cannot affect our output; saves a system call. While it does not
    // read, 16 KiB of what it sends are read, not 256.
    kWriteFirst,
  };

  // One descriptor for both directions, or one for each.
  explicit DescriptorChannel(Descriptor both, Order order = Order::kReadFirst);
  DescriptorChannel(Descriptor in, Descriptor out);

  // TCP: after each of the next `writes` writes, what the peer sends is acknowledged at once. A
  // server that writes twice (Cyrus: TLS 1.3's session tickets, then its reply) would otherwise
  // wait 40 ms for our delayed ACK.
  void acknowledge_at_once(int writes) { quick_acks_ = writes; }

  // For a socket that we close first. Closed with input unread, TCP resets the connection, and the
  // peer loses what it has not read. So this ends our side, and discards what comes until the peer
  // ends its side, a bound of bytes, or `latest`. A unix socket loses nothing: no wait.
  void linger(Deadline latest);

  IoStatus exchange(std::string_view& out, std::string& in, Deadline deadline) override;
  bool quiet() override;
  Presence presence() const override;
  void write_now(std::string_view& out) noexcept override;
  bool took_all(Deadline latest) const override;
  bool may_have_read() const override;
  bool await_reader(Deadline latest) const override;
  void cut() override;
  const std::string& failure() const override { return failure_; }

 private:
  struct Direction {
    int number = -1;  // of the descriptor
    bool is_socket = false;
    bool open = true;  // in: until the end of input; out: until the peer takes no more
  };

  DescriptorChannel(Descriptor in, Descriptor out, Order order);

  // `events`, as for poll(2): POLLIN, POLLOUT or both.
  IoStatus exchange_by_poll(std::string_view& out, std::string& in, short events,
                            Deadline deadline);
  IoStatus exchange_on_fiber(Scheduler& scheduler, std::string_view& out, std::string& in,
                             short events, Deadline deadline);
  std::optional<IoStatus> try_exchange(std::string_view& out, std::string& in, short events);
  IoStatus await_input(std::string& in, Deadline deadline);
  bool limit_receive(Deadline deadline);
  IoStatus read_some(std::string& in);
  ssize_t receive(int flags);
  ssize_t send_some(std::string_view out) const;
  IoStatus received(ssize_t count, std::string& in);
  IoStatus write_some(std::string_view& out);
  IoStatus failed(const char* what);
  bool has_error() const;
  bool has_unread() const;

  Descriptor in_descriptor_;
  Descriptor out_descriptor_;  // invalid: in_descriptor_ serves both directions
  Direction in_;
  Direction out_;
  Order order_;
  std::chrono::milliseconds receive_timeout_{0};  // SO_RCVTIMEO; 0: never set
  std::size_t read_size_ = 0;                     // of the next read
  std::size_t last_read_ = 0;                     // how many bytes it had
  bool quiet_ = false;                            // there was nothing to read a moment ago
  int quick_acks_ = 0;                            // see acknowledge_at_once()
  bool broken_ = false;  // a call got the socket's error, which poll(2) then shows no more
  std::string failure_;
};

}  // namespace lmtpq::mailer

// A DescriptorChannel over pipes, a unix socket or TCP, and the far end, which a test reads, writes
// and closes.
#pragma once

#include <cppunit/extensions/HelperMacros.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "mailer/io/descriptor_channel.h"

namespace lmtpq::mailer {

// A peer that has closed is an error, not a signal, as in the program.
class WithoutSigpipe : public CppUnit::TestFixture {
 public:
  void setUp() override { former_ = signal(SIGPIPE, SIG_IGN); }
  void tearDown() override { signal(SIGPIPE, former_); }

 private:
  sighandler_t former_ = SIG_DFL;
};

// Our channel, and the ends of the other side.
struct ChannelPair {
  std::unique_ptr<DescriptorChannel> channel;
  Descriptor from_us;  // with a socket, both directions
  Descriptor to_us;

  int reading() const { return from_us.number(); }
  int writing() const { return to_us.valid() ? to_us.number() : from_us.number(); }
  void close_writing() {
    if (to_us.valid()) {
      to_us = Descriptor();
    } else {
      shutdown(from_us.number(), SHUT_WR);
    }
  }
  void close_all() {
    from_us = Descriptor();
    to_us = Descriptor();
  }
};

inline ChannelPair over_pipes() {
  int in[2];
  int out[2];
  CPPUNIT_ASSERT_EQUAL(0, pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC));
  return {std::make_unique<DescriptorChannel>(Descriptor(in[0]), Descriptor(out[1])),
          Descriptor(out[0]), Descriptor(in[1])};
}

inline ChannelPair over_socket() {
  int ends[2];
  CPPUNIT_ASSERT_EQUAL(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
  return {std::make_unique<DescriptorChannel>(Descriptor(ends[0])), Descriptor(ends[1]),
          Descriptor()};
}

inline ChannelPair over_tcp() {
  const Descriptor server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Descriptor ours(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  CPPUNIT_ASSERT_EQUAL(0, bind(server.number(), plain, size) + listen(server.number(), 1));
  getsockname(server.number(), plain, &size);
  CPPUNIT_ASSERT_EQUAL(0, connect(ours.number(), plain, size));
  Descriptor theirs(accept(server.number(), nullptr, nullptr));
  CPPUNIT_ASSERT(theirs.valid());
  return {std::make_unique<DescriptorChannel>(std::move(ours)), std::move(theirs), Descriptor()};
}

inline ChannelPair (*const kKinds[])() = {over_pipes, over_socket};

inline void say(const ChannelPair& pair, std::string_view text) {
  CPPUNIT_ASSERT_EQUAL(static_cast<ssize_t>(text.size()),
                       write(pair.writing(), text.data(), text.size()));
}

// Up to `most` bytes of what we wrote.
inline std::string hear(const ChannelPair& pair, std::size_t most = 100'000) {
  std::string text(most, '\0');
  const ssize_t count = read(pair.reading(), text.data(), text.size());
  text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return text;
}

inline Deadline soon() {
  return Clock::now() + std::chrono::seconds(60);
}  // reached only if a test fails

inline void check(IoStatus expected, IoStatus status) {
  CPPUNIT_ASSERT_EQUAL(static_cast<int>(expected), static_cast<int>(status));
}

}  // namespace lmtpq::mailer

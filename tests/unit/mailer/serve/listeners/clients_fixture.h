// Clients over a pair of sockets in place of a network, what they read, the log, and what was
// counted.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mailer/serve/listeners/clients.h"
#include "tests/unit/mailer/serve/configuration/daemon_fixture.h"

namespace lmtpq::mailer {

class ClientsFixture : public DaemonFixture {
 public:
  void setUp() override {
    DaemonFixture::setUp();
    log_file_.emplace("test", folder_ + "/log", LogLevel::kInfo);
    clients_.emplace(current_, *log_file_, DeliveryServices{nullptr, &refusals_, &memory_}, 2);
  }
  // The sessions must have ended.
  void tearDown() override {
    clients_.reset();
    log_file_.reset();
    DaemonFixture::tearDown();
  }

 protected:
  struct Refusals : DeliveryEvents {
    void client_admitted() override { ++admitted; }
    void client_refused(ClientRefusal reason) override { reasons.push_back(reason); }
    int admitted = 0;
    std::vector<ClientRefusal> reasons;
  };

  // One listener, unix:/a, with these options; `process`: lines before it.
  void configure(const std::string& options = "", const std::string& process = "") {
    use(process + "destination = unix:/s\n[listener.a]\naddress = unix:/a\n" + options);
  }
  void use(const std::string& text) {
    current_.set(std::make_shared<const Configuration>(settings(text), registry_, *log_file_));
  }

  static Client over_unix(uid_t uid = 4242) { return {std::nullopt, uid}; }
  static Client over_tcp(const char* address) { return {Address::parse(address), 0}; }

  // `early`: what it has sent before it was accepted.
  Descriptor connected(const Client& client, const std::string& address = "unix:/a",
                       const std::string& early = "") {
    int ends[2];
    CPPUNIT_ASSERT_EQUAL(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    Descriptor ours(ends[0]);
    const timeval patience{60, 0};
    setsockopt(ours.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    CPPUNIT_ASSERT_EQUAL(static_cast<ssize_t>(early.size()),
                         send(ours.number(), early.data(), early.size(), MSG_NOSIGNAL));
    CPPUNIT_ASSERT_EQUAL(0, fcntl(ends[1], F_SETFL, O_NONBLOCK));
    clients_->admit(Descriptor(ends[1]), client, address);
    return ours;
  }
  static std::string line_of(const Descriptor& client) {
    std::string line;
    for (char byte = 0; byte != '\n' && read(client.number(), &byte, 1) == 1;) {
      line += byte;
    }
    return line;
  }
  // Up to the end; "(lost)" is at its end where the connection was not closed in good order.
  static std::string all_of(const Descriptor& client) {
    std::string text;
    char byte = 0;
    ssize_t count = 0;
    while ((count = read(client.number(), &byte, 1)) == 1) {
      text += byte;
    }
    return count == 0 ? text : text + "(lost)";
  }
  bool all_have_left() { return clients_->wait(Clock::now() + std::chrono::seconds(60)); }

  std::string logged() const {
    log_file_->flush();
    std::ifstream file(folder_ + "/log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool has_logged(const std::string& words) const { return logged().find(words) != words.npos; }

  CurrentConfiguration current_;
  MemoryBudget memory_{1'000'000};
  Refusals refusals_;
  std::optional<Log> log_file_;
  std::optional<Clients> clients_;
};

}  // namespace lmtpq::mailer

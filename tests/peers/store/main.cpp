// A small LMTP store for tests and for the demo: speaks like Cyrus lmtpd, files into Maildirs.
//
// One thread for each client, detached: at SIGTERM the process ends at once, in the middle of
// whatever they do, and what they had not answered was not promised.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "connection.h"
#include "duplicates.h"
#include "listening.h"
#include "log.h"
#include "mailboxes.h"
#include "options.h"
#include "session.h"

namespace store {
namespace {

constexpr int kExitUsage = 64;
constexpr int kExitSystem = 71;

// Blocked in the first thread, hence in all; read from a descriptor along with the listeners.
int open_end_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &ends, SFD_CLOEXEC);
}

void serve(const House& house, int descriptor) try {
  Connection client(descriptor, house.options.idle_timeout);
  Session(house, client, peer_name(descriptor)).run();
} catch (const std::exception& trouble) {
  house.log.write(Event("Session ended by an exception").add("what", trouble.what()));
}

void accept_one(const House& house, const Listener& listener) {
  const int descriptor = accept4(listener.descriptor, nullptr, nullptr, SOCK_CLOEXEC);
  if (descriptor < 0) {
    // Out of descriptors, as a rule: a client must leave before another can come.
    if (errno == EMFILE || errno == ENFILE) usleep(50'000);
    return;
  }
  const int on = 1;
  if (listener.unix_path.empty()) {
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  try {
    std::thread([&house, descriptor] { serve(house, descriptor); }).detach();
  } catch (const std::system_error&) {
    close(descriptor);
  }
}

void announce(const std::vector<Listener>& listeners) {
  std::string line = "ready";
  for (const Listener& listener : listeners) line += " " + listener.address;
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void accept_until_signal(const House& house, const std::vector<Listener>& listeners,
                         int end_signals) {
  std::vector<pollfd> waits{{end_signals, POLLIN, 0}};
  for (const Listener& listener : listeners) waits.push_back({listener.descriptor, POLLIN, 0});
  for (;;) {
    if (poll(waits.data(), waits.size(), -1) < 0) continue;
    if (waits[0].revents != 0) return;
    for (std::size_t i = 0; i < listeners.size(); ++i) {
      if (waits[i + 1].revents != 0) accept_one(house, listeners[i]);
    }
  }
}

int run(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  if (options.help) {
    std::fputs(help_text().c_str(), stdout);
    return 0;
  }
  if (!std::filesystem::is_directory(options.directory)) {
    throw std::runtime_error(options.directory + ": not a directory");
  }
  const int end_signals = open_end_signals();
  const Log log(options.log_file);
  const Mailboxes mailboxes(options.directory, options.quotas);
  Duplicates duplicates;
  const House house{options, mailboxes, duplicates, log};
  std::vector<Listener> listeners;
  for (const std::string& address : options.listen) listeners.push_back(open_listener(address));
  if (!options.pid_file.empty() && !(std::ofstream(options.pid_file) << getpid() << std::endl)) {
    throw std::runtime_error(options.pid_file + ": cannot be written");
  }
  announce(listeners);
  accept_until_signal(house, listeners, end_signals);

  for (const Listener& listener : listeners) {
    if (!listener.unix_path.empty()) unlink(listener.unix_path.c_str());
  }
  if (!options.pid_file.empty()) unlink(options.pid_file.c_str());
  // Not exit(): the clients' threads still use what it would destroy.
  _exit(0);
}

}  // namespace
}  // namespace store

int main(int argc, char** argv) {
  try {
    return store::run(argc, argv);
  } catch (const store::UsageError& error) {
    std::fprintf(stderr, "store: %s\n", error.what());
    return store::kExitUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "store: %s\n", error.what());
    return store::kExitSystem;
  }
}

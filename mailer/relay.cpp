// lmtpq relay: an LMTP server on Sendmail's two pipes.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/few_descriptors.h"
#include "mailer/commands.h"
#include "mailer/delivery/delivery.h"
#include "mailer/delivery/lmtp_session.h"
#include "mailer/ending_signals.h"
#include "mailer/io/descriptor_channel.h"

namespace lmtpq::mailer {
namespace {

volatile sig_atomic_t stop_asked = 0;

// Repeats each second, since poll(2) does not notice a signal that came just before it.
void ask_to_stop(int) {
  stop_asked = 1;
  alarm(1);
}

bool stopping() { return stop_asked != 0; }

// A signal ends the process between messages only: during a message the store may already have it,
// and only our reply keeps Sendmail from sending it again.
void stop_between_messages_on_signals() {
  struct sigaction action {};
  action.sa_handler = ask_to_stop;
  for (const int number : ending_signals()) {
    sigaction(number, &action, nullptr);
  }
}

bool same_file(int a, int b) {
  struct stat one {};
  struct stat other {};
  return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

// Of a pipe or a socket. An MTA may leave without a word.
bool reader_has_gone(int output) {
  pollfd entry{output, POLLOUT, 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & (POLLERR | POLLHUP)) != 0;
}

// Mail without a reply stays in Sendmail's queue. A reply now could be taken for the reply to
// another command.
int fail(const Log& log, const char* error) {
  log.error(Record("relay-failed")
                .add("error", error)
                .add("effect", "relay ends; unanswered mail stays in Sendmail's queue"));
  return EX_TEMPFAIL;
}

}  // namespace

StdioChannel take_stdio() {
  const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
  const bool is_read = !same_file(STDOUT_FILENO, nowhere);
  // On a terminal all three are the same file, and errors should be visible.
  if (same_file(STDOUT_FILENO, STDERR_FILENO) && isatty(STDOUT_FILENO) == 0) {
    dup2(nowhere, STDERR_FILENO);
  }
  const StdioChannel taken{fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3),
                           fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), is_read};
  if (taken.in < 0 || taken.out < 0) {
    throw std::runtime_error(std::string("standard input and output: ") + std::strerror(errno) +
                             remedy_for_few_descriptors(errno));
  }
  dup2(nowhere, STDIN_FILENO);
  dup2(nowhere, STDOUT_FILENO);
  if (nowhere > STDERR_FILENO) {
    close(nowhere);
  }
  return taken;
}

int run_relay(const Settings& settings, const Log& log, StdioChannel stdio) {
  if (!stdio.is_read) {
    return fail(log, "standard output is closed: nobody reads the replies");
  }
  stop_between_messages_on_signals();
  SocketDialer dialer;
  PoolList pools(settings, dialer, log);
  Delivery delivery(settings, pools, log);
  DescriptorChannel client{Descriptor(stdio.in), Descriptor(stdio.out)};
  LmtpSession session(client, settings, server_limits(settings), delivery, log, stopping);
  try {
    session.run();
  } catch (const std::exception& error) {
    return fail(log, error.what());
  }
  return session.has_answered() || reader_has_gone(stdio.out)
             ? EX_OK
             : fail(log, "standard output takes no replies");
}

void refuse_relay(StdioChannel stdio, const std::string& error) {
  const Outcome outcome = outcome_of(Trouble::kConfiguration, error);
  DescriptorChannel client{Descriptor(stdio.in), Descriptor(stdio.out)};
  // Without a host name: mailq(1) shows about 60 characters, which the error needs.
  const std::string line = reply_line(421, outcome.status, outcome.text);
  std::string ignored;
  write_all(client, line, ignored, Clock::now() + std::chrono::seconds(10));
}

}  // namespace lmtpq::mailer

#include "mailer/serve/status/status_client.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "common/descriptor.h"
#include "common/escape.h"
#include "mailer/io/waiting.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kMaxAnswer = 4 * 1024 * 1024;  // a daemon's has about 100 KiB at most
constexpr std::chrono::seconds kTimeout{5};

volatile sig_atomic_t end_asked = 0;

// A daemon is there, and does not answer.
struct NoAnswer : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Waits until `latest` where many others wait for the daemon.
Descriptor dial(const std::string& path, Deadline latest) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw std::runtime_error("the path is too long for a socket");
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  Descriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto left = std::chrono::microseconds(milliseconds_until(latest) * std::int64_t{1000} + 1);
  const timeval limit{left.count() / 1'000'000, left.count() % 1'000'000};
  setsockopt(made.number(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // of connect(2), too
  if (connect(made.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EAGAIN) {
      throw NoAnswer("too many clients wait at its socket");
    }
    throw std::runtime_error(std::strerror(errno));
  }
  return made;
}

// The whole answer, up to the end of the connection.
std::string ask(const std::string& path) {
  const Deadline deadline = Clock::now() + kTimeout;
  const Descriptor socket = dial(path, deadline);
  std::string answer;
  std::array<char, 16 * 1024> piece{};
  for (;;) {
    pollfd entry{socket.number(), POLLIN, 0};
    const int ready = poll(&entry, 1, milliseconds_until(deadline));
    if (ready == 0 || (ready < 0 && end_asked != 0)) {
      throw NoAnswer("no answer in time");
    }
    const ssize_t length = ready < 0 ? -1 : read(socket.number(), piece.data(), piece.size());
    if (length == 0) {
      break;
    }
    if (length < 0 && errno != EINTR && errno != EAGAIN) {
      throw std::runtime_error(std::strerror(errno));
    }
    answer.append(piece.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    if (answer.size() > kMaxAnswer) {
      throw std::runtime_error("the answer is too long");
    }
  }
  if (answer.empty()) {
    throw std::runtime_error("it sent no answer");
  }
  return answer;
}

std::string failure_of(const std::string& path, const std::exception& error) {
  if (dynamic_cast<const NoAnswer*>(&error) != nullptr) {
    return "the daemon at " + escaped(path) + " does not answer: " + error.what() +
           "; try again, and see its log";
  }
  return "no daemon answers at " + escaped(path) + ": " + error.what() +
         "; start it, or name its socket by --control";
}

// The terminal without line editing, so that a q is read at once.
class Keys {
 public:
  Keys() : usable_(isatty(STDIN_FILENO) != 0 && tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (usable_) {
      termios now = before_;
      now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      tcsetattr(STDIN_FILENO, TCSANOW, &now);
    }
  }
  ~Keys() {
    if (usable_) {
      tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    }
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  // Waits for a second. True: a q was typed, or a signal asks to end.
  bool end_wanted() const {
    const Deadline deadline = Clock::now() + std::chrono::seconds(1);
    while (end_asked == 0) {
      pollfd entry{usable_ ? STDIN_FILENO : -1, POLLIN, 0};
      if (poll(&entry, 1, milliseconds_until(deadline)) == 0) {
        return false;
      }
      char key = 0;
      if (entry.revents != 0 && (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q')) {
        return true;
      }
    }
    return true;
  }

 private:
  termios before_{};
  const bool usable_;
};

// Cut to the terminal's number of lines.
std::string cut_to_screen(const std::string& table) {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 2) {
    return table;
  }
  std::size_t end = 0;
  for (int line = 1; line < size.ws_row && end < table.size(); ++line) {
    end = std::min(table.find('\n', end), table.size() - 1) + 1;
  }
  return table.substr(0, end);
}

void show_live(const std::string& path, std::string table) {
  struct sigaction end {};
  end.sa_handler = [](int) { end_asked = 1; };
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    sigaction(number, &end, nullptr);
  }
  const Keys keys;
  for (;;) {
    std::printf("\x1b[H\x1b[2J%s", cut_to_screen(table).c_str());
    std::fflush(stdout);
    if (keys.end_wanted()) {
      return;
    }
    try {
      table = status_table(parse_snapshot(ask(path)));
    } catch (const std::exception& error) {
      table = failure_of(path, error) + "\n";  // it may come back
    }
  }
}

}  // namespace

int run_status(const Settings& settings) {
  const std::string& path = settings.serve.control;
  if (path.empty()) {
    std::fprintf(stderr, "lmtpq: --control is empty: no control socket is configured\n");
    return EX_UNAVAILABLE;
  }
  try {
    const std::string answer = ask(path);
    const Snapshot snapshot = parse_snapshot(answer);
    if (settings.json) {
      std::fputs(answer.c_str(), stdout);
    } else if (isatty(STDOUT_FILENO) != 0) {
      show_live(path, status_table(snapshot));
    } else {
      std::fputs(status_table(snapshot).c_str(), stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lmtpq: %s\n", failure_of(path, error).c_str());
    return EX_UNAVAILABLE;
  }
  return EX_OK;
}

}  // namespace lmtpq::mailer

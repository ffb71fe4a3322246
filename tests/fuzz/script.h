// The lines of a fuzz target's input, each of which says what happens next, and a log to look at.
//
// A line is a letter and what follows it after a blank. Any bytes are a script: a target passes
// over lines that it does not know.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "common/descriptor.h"
#include "common/escape.h"
#include "common/log/log.h"

namespace lmtpq::fuzz {

// Says where, since optimized code has one abort() for all checks of a target.
inline void check(bool holds, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (!holds) {
    std::cerr << file << ':' << line << ": does not hold\n";
    std::abort();
  }
}

class Script {
 public:
  explicit Script(std::string_view text) : rest_(text) {}

  bool over() const { return rest_.empty(); }
  std::size_t left() const { return rest_.size(); }
  // The letter of the current line; 0: it has none, or the script is over.
  char letter() const { return line().empty() ? '\0' : line()[0]; }
  // The text of the current line, which is passed.
  std::string_view take() {
    const std::string_view taken = line();
    rest_.remove_prefix(std::min(taken.size() + 1, rest_.size()));
    return taken.substr(std::min<std::size_t>(2, taken.size()));
  }

 private:
  std::string_view line() const { return rest_.substr(0, rest_.find('\n')); }

  std::string_view rest_;
};

// Takes a number and a blank after it from the front of `text`.
inline std::size_t take_number(std::string_view& text, std::size_t otherwise) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) {
    return otherwise;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  text.remove_prefix(text.starts_with(' ') ? 1 : 0);
  return number;
}

// A log whose lines can be read. It has no thread, as long as the lines, which go to a socket at
// once, are taken before there are hundreds of them.
class RecordingLog {
 public:
  RecordingLog() : syslogd_(listener()), log_("fuzz", "syslog", LogLevel::kDebug, path()) {}
  ~RecordingLog() { unlink(path().c_str()); }
  RecordingLog(const RecordingLog&) = delete;
  RecordingLog& operator=(const RecordingLog&) = delete;

  const Log& log() const { return log_; }

  void take() {
    if (!taken_.valid()) {
      taken_ =
          Descriptor(accept4(syslogd_.number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    }
    std::array<char, 16 * 1024> piece;
    for (ssize_t size = 1; size > 0;) {
      size = taken_.valid() ? recv(taken_.number(), piece.data(), piece.size(), 0) : 0;
      text_.append(piece.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    }
    std::replace(text_.begin(), text_.end(), '\0', '\n');
  }

  // All lines so far, with line feeds. Nothing in them moves a terminal's cursor, and each has an
  // event.
  const std::string& text() {
    take();
    for (const std::string_view line : lines()) {
      check(line.find(kEvent) != std::string_view::npos);
      for (std::string_view left = line; !left.empty();) {
        const std::size_t length = utf8_length(left);
        check(length > 0 && !controls_display(left.substr(0, length)));
        left.remove_prefix(length);
      }
    }
    return text_;
  }
  // Of text(): the lines of an event.
  std::size_t count(std::string_view event) const {
    const std::vector<std::string_view> all = lines();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](auto line) {
      line.remove_prefix(line.find(kEvent) + kEvent.size());
      return line.substr(0, line.find(' ')) == event;
    }));
  }

 private:
  // Of this process. After an abort it is left, and replaced by the next of this number.
  static std::string path() { return "/tmp/lmtpq-fuzz-" + std::to_string(getpid()); }

  static Descriptor listener() {
    Descriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    unlink(address.sun_path);
    check(bind(made.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    check(listen(made.number(), 1) == 0);
    return made;
  }

  std::vector<std::string_view> lines() const {
    std::vector<std::string_view> all;
    for (std::string_view rest = text_; !rest.empty();) {
      all.push_back(rest.substr(0, rest.find('\n')));
      check(all.back().size() < rest.size());
      rest.remove_prefix(all.back().size() + 1);
    }
    return all;
  }

  static constexpr std::string_view kEvent = ": event=";

  Descriptor syslogd_;
  Descriptor taken_;
  std::string text_;
  Log log_;
};

}  // namespace lmtpq::fuzz

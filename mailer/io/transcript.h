// The dialogue with the store, line by line, for debugging.
//
// Command and reply lines with their direction go into a file in `--transcript-dir` and, for
// destinations of `--debug-peer`, into the log. Of the message only the size is written. One object
// per connection; the file is closed with it. If the file cannot be opened, this is logged once;
// mail goes on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/descriptor.h"
#include "common/log/log.h"

namespace lmtpq::mailer {

class Transcript {
 public:
  // `directory` empty: no file. `to_log` false: not logged.
  Transcript(const std::string& directory, bool to_log, const std::string& peer, const Log& log);

  void sent(std::string_view bytes) { take(sent_, bytes); }
  void received(std::string_view bytes) { take(received_, bytes); }
  void sent_message(std::uint64_t bytes);
  void note(std::string_view words);  // events between the lines: TLS, a login
  void ended(std::string_view reason);
  bool active() const { return to_log_ || file_.valid(); }

 private:
  // Bytes come in any pieces; a line is written when it is complete, or when the connection ends.
  struct Half {
    std::string_view direction;
    std::string open_line;
  };
  static constexpr std::size_t kMaxLine = 4096;
  void take(Half& half, std::string_view bytes);
  void finish(Half& half);
  void line(std::string_view direction, std::string_view text);

  bool to_log_;
  std::string peer_;
  const Log& log_;
  Descriptor file_;
  Half sent_{"C: ", {}};
  Half received_{"S: ", {}};
};

}  // namespace lmtpq::mailer

#include "mailer/io/transcript.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "common/open_file.h"

namespace lmtpq::mailer {

Transcript::Transcript(const std::string& directory, bool to_log, const std::string& peer,
                       const Log& log)
    : to_log_(to_log), peer_(peer), log_(log) {
  if (directory.empty()) {
    return;
  }
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const std::string path = directory + "/lmtpq-" + std::to_string(getpid()) + "-" +
                           std::to_string(now.tv_sec) + "." + std::to_string(now.tv_nsec / 1000);
  // Envelopes are private: readable by the owner only. O_EXCL: no other user's link is followed.
  const FilePlace place = place_of(path);
  if (place.folder.valid()) {
    file_ = Descriptor(openat(place.folder.number(), place.name.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  }
  if (!file_.valid()) {
    log_.warning(Record("transcript-failed").add("file", path).add("error", std::strerror(errno)));
  }
  line("-- ", peer);
}

void Transcript::sent_message(std::uint64_t bytes) {
  if (active()) {
    line("C: ", "(message, " + std::to_string(bytes) + " bytes)");
  }
}

void Transcript::note(std::string_view words) {
  if (active()) {
    line("-- ", words);
  }
}

void Transcript::ended(std::string_view reason) {
  if (active()) {
    finish(sent_);
    finish(received_);
    line("-- ", reason);
  }
}

void Transcript::take(Half& half, std::string_view bytes) {
  while (active() && !bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, newline);
    half.open_line.append(piece.substr(0, kMaxLine - std::min(kMaxLine, half.open_line.size())));
    if (newline == std::string_view::npos) {
      return;
    }
    bytes.remove_prefix(newline + 1);
    finish(half);
  }
}

void Transcript::finish(Half& half) {
  if (!half.open_line.empty() && half.open_line.back() == '\r') {
    half.open_line.pop_back();
  }
  if (!half.open_line.empty()) {
    line(half.direction, half.open_line);
  }
  half.open_line.clear();
}

void Transcript::line(std::string_view direction, std::string_view text) {
  if (to_log_) {
    log_.info(Record("transcript-line")
                  .add("relay", peer_)
                  .add("line", std::string(direction) + std::string(text)));
  }
  if (file_.valid()) {
    const std::string whole = std::string(direction) + std::string(text) + "\n";
    // A full disk must not stop mail.
    if (write(file_.number(), whole.data(), whole.size()) < 0) {
      file_ = Descriptor();
    }
  }
}

}  // namespace lmtpq::mailer

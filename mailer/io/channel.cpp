#include "mailer/io/channel.h"

namespace lmtpq::mailer {

bool write_front(Channel& channel, std::string_view& bytes, std::string& in, Deadline deadline,
                 bool* ended) {
  bool end_seen = false;
  while (!bytes.empty()) {
    const IoStatus status = channel.exchange(bytes, in, deadline);
    const bool first_end = status == IoStatus::kClosed && !end_seen;
    end_seen = end_seen || first_end;
    if (ended != nullptr && first_end) {
      *ended = true;
    }
    if (status != IoStatus::kProgress && !first_end) {
      return false;
    }
  }
  return true;
}

bool write_all(Channel& channel, std::string_view bytes, std::string& in, Deadline deadline,
               bool* ended) {
  return write_front(channel, bytes, in, deadline, ended);
}

}  // namespace lmtpq::mailer

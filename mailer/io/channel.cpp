#include "mailer/io/channel.h"

namespace lmtpq::mailer {

bool write_front(Channel& channel, std::string_view& bytes, std::string& in, Deadline deadline) {
  bool end_seen = false;
  while (!bytes.empty()) {
    const IoStatus status = channel.exchange(bytes, in, deadline);
    const bool first_end = status == IoStatus::kClosed && !end_seen;
    end_seen = end_seen || first_end;
    if (status != IoStatus::kProgress && !first_end) {
      return false;
    }
  }
  return true;
}

bool write_all(Channel& channel, std::string_view bytes, std::string& in, Deadline deadline) {
  return write_front(channel, bytes, in, deadline);
}

}  // namespace lmtpq::mailer

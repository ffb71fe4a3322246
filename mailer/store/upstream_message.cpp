// Sends a message to the store, after DATA's 354, with stuffed dots.

#include <algorithm>

#include "mailer/lines/dot_stuffing.h"
#include "mailer/store/upstream.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kPieceSize = 64 * 1024;

}  // namespace

// The message in its form on the wire, piece by piece.
class Upstream::MessageWriter {
 public:
  explicit MessageWriter(const MessageSpool& body) : reader_(body) {}

  // The next piece. The final dot is part of the last one, so that a small message is one write.
  // False: the message cannot be read.
  bool next(std::string& piece) {
    std::string_view bytes;
    piece.clear();
    while (piece.size() < kPieceSize) {
      switch (reader_.next(bytes)) {
        case MessageSpool::Reader::Result::kBytes:
          piece.reserve(piece.size() + bytes.size() + DataEncoder::kEnd.size());
          encoder_.encode(bytes, piece);
          break;
        case MessageSpool::Reader::Result::kEnd:
          piece += DataEncoder::kEnd;
          done_ = true;
          return true;
        case MessageSpool::Reader::Result::kFailed:
          return false;
      }
    }
    return true;
  }
  bool done() const { return done_; }
  std::string failure() const { return reader_.failure(); }

 private:
  MessageSpool::Reader reader_;
  DataEncoder encoder_;
  bool done_ = false;
};

void Upstream::send_message(const MessageSpool& body, Deadline latest) {
  MessageWriter writer(body);
  std::string piece;
  std::string_view out;
  std::uint64_t sent = 0;
  const std::chrono::milliseconds allowance = settings_.timeouts.data_xfer;
  const Clock::time_point start = Clock::now();
  Clock::time_point progress = start;
  while (client_.state() == ClientState::kBody) {
    if (out.empty()) {
      if (writer.done()) {
        note_message_sent(sent);
        client_.end_of_data();
        return;
      }
      // A part of a message must never be ended as if it were complete.
      if (!writer.next(piece)) {
        spool_failure_ = writer.failure();
        client_.lost(spool_failure_);
        return;
      }
      out = piece;
    }
    const std::chrono::milliseconds earned(sent * 1000 / settings_.min_data_rate);
    const std::size_t before = out.size();
    exchange_message(out, std::min({progress + allowance, start + allowance + earned, latest}));
    if (out.size() < before) {
      sent += before - out.size();
      progress = Clock::now();
    }
  }
}

// From now on the store may file the message.
void Upstream::note_message_sent(std::uint64_t bytes) {
  if (!dot_sent_) {
    dot_sent_ = true;
    dot_time_ = Clock::now();
    transcript_.sent_message(bytes);
  }
}

}  // namespace lmtpq::mailer

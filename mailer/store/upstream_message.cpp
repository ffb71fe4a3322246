// A message on its way to the store, in one of three forms.
//
// DATA and a dot, for a store without CHUNKING. With it, BDAT: no dots are stuffed, and no byte of
// the message can be taken for its end. A large message goes in chunks once it is known that
// somebody takes it. A small one goes in one flight with its commands: one round trip instead of
// two.
//
// One flight has a price. When the connection dies before any reply, the store may have filed the
// message, and it cannot be sent elsewhere as after an unanswered MAIL. And where no 354 stands
// between the envelope's replies and the message's, one reply too many is not told from the
// message's. So it is for a connection on which a message went through in step before, and from
// which we heard within kLively: under load, where it counts, that is every connection, while one
// that idled, and may have been cut without a word (a firewall, a host that is gone), hears MAIL
// and RCPT first. A connection that the store closed meanwhile is known by alive(), and one that it
// closes now fails our write as a rule before the last byte is out; the message is then retried as
// ever.

#include <algorithm>

#include "mailer/lmtp/command.h"
#include "mailer/store/upstream.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kPieceSize = 64 * 1024;
constexpr std::chrono::seconds kLively{1};

}  // namespace

MessageForm Upstream::form_for(const Body& body) const {
  if (!settings_.chunking) {
    return MessageForm::kData;
  }
  const bool lively = transactions_ > 0 && Clock::now() - heard_ <= kLively;
  return lively && body.size() <= kPieceSize ? MessageForm::kOneFlight : MessageForm::kChunks;
}

// What goes to the wire of a message, piece by piece.
class Upstream::MessageWriter {
 public:
  MessageWriter(const Body& body, MessageForm form)
      : reader_(body), left_(body.size()), chunks_(form != MessageForm::kData) {}

  // The next piece, a whole chunk if it goes in chunks. False: the message cannot be read.
  bool next(std::string& piece) {
    piece.clear();
    return chunks_ ? next_chunk(piece) : next_data(piece);
  }
  bool chunks() const { return chunks_; }
  bool done() const { return done_; }
  std::string failure() const { return reader_.failure(); }

 private:
  bool next_chunk(std::string& piece) {
    std::string_view bytes;
    if (reader_.next(bytes) == Body::Reader::Result::kFailed) {
      return false;
    }
    left_ -= bytes.size();
    done_ = left_ == 0;
    piece = bdat_line(bytes.size(), done_ ? Chunk::kLast : Chunk::kMore);
    piece += bytes;
    return true;
  }

  // The dot joins the last piece, so that a small message is one write.
  bool next_data(std::string& piece) {
    std::string_view bytes;
    while (piece.size() < kPieceSize) {
      switch (reader_.next(bytes)) {
        case Body::Reader::Result::kBytes:
          encoder_.encode(bytes, piece);
          break;
        case Body::Reader::Result::kEnd:
          piece += DataEncoder::kEnd;
          done_ = true;
          return true;
        case Body::Reader::Result::kFailed:
          return false;
      }
    }
    return true;
  }

  Body::Reader reader_;
  DataEncoder encoder_;
  std::uint64_t left_;
  bool chunks_;
  bool done_ = false;
};

void Upstream::send_message(const Body& body, Deadline latest) {
  MessageWriter writer(body, client_.form());
  std::string piece;
  std::string_view out;
  std::uint64_t sent = 0;
  const std::chrono::milliseconds allowance = settings_.timeouts.data_xfer;
  const Clock::time_point start = Clock::now();
  Clock::time_point progress = start;
  while (client_.state() == ClientState::kBody) {
    if (out.empty() && !piece.empty()) {
      if (writer.done()) {
        message_out(sent);
        client_.end_of_data();
        return;
      }
      if (writer.chunks()) {
        client_.end_of_chunk();
      }
      piece.clear();
    }
    if (out.empty() && client_.may_send_chunk()) {
      // Half a message must never be ended as if it were whole.
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

// The store may file it from now on.
void Upstream::message_out(std::uint64_t bytes) {
  if (!dot_sent_) {
    dot_sent_ = true;
    dot_time_ = Clock::now();
    transcript_.sent_message(bytes);
  }
}

}  // namespace lmtpq::mailer

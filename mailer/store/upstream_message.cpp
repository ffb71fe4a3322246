// Sends a message to the store, in one of three forms.
//
// To a store without CHUNKING: DATA, and the message with stuffed dots. With CHUNKING: BDAT, where
// no byte of the message can be taken for its end. A large message is sent in chunks after the
// store has accepted a recipient. A small one is sent in one flight with its commands, which saves
// a round trip.
//
// One flight has a disadvantage: if the connection breaks before any reply, the store may have
// filed the message, so that it cannot be sent to another store as after a MAIL without a reply.
// Besides, no 354 separates the envelope's replies from the message's, so that an extra reply
// would be taken for the message's. With several recipients that would be seen only after the first
// of them had its reply passed on. Therefore one flight is used only for one recipient, and only on
// a connection that delivered a message before and from which we received something within kActive.
// Under load, where the round trip matters, these are all connections. On a connection that was
// idle, and may have been dropped by a firewall or a dead host, MAIL and RCPT are sent first. A
// connection that the store has closed is found by alive(); if the store closes it just now, our
// write usually fails before the last byte, and the message is sent again as usual.

#include <algorithm>

#include "mailer/lines/dot_stuffing.h"
#include "mailer/lmtp/command.h"
#include "mailer/store/upstream.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kPieceSize = 64 * 1024;
constexpr std::chrono::seconds kActive{1};

}  // namespace

MessageForm Upstream::form_for(const MessageSpool& body, std::size_t recipients) const {
  if (!settings_.chunking) {
    return MessageForm::kData;
  }
  const bool active = transactions_ > 0 && Clock::now() - last_input_ <= kActive;
  return active && recipients == 1 && body.size() <= kPieceSize ? MessageForm::kOneFlight
                                                                : MessageForm::kChunks;
}

// The message in the form in which it is sent, piece by piece.
class Upstream::MessageWriter {
 public:
  MessageWriter(const MessageSpool& body, MessageForm form)
      : reader_(body), left_(body.size()), chunks_(form != MessageForm::kData) {}

  // The next piece; with BDAT, a complete chunk. False: the message cannot be read.
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
    if (reader_.next(bytes) == MessageSpool::Reader::Result::kFailed) {
      return false;
    }
    left_ -= bytes.size();
    done_ = left_ == 0;
    piece = bdat_line(bytes.size(), done_ ? Chunk::kLast : Chunk::kMore);
    piece += bytes;
    return true;
  }

  // The final dot is part of the last piece, so that a small message is one write.
  bool next_data(std::string& piece) {
    std::string_view bytes;
    while (piece.size() < kPieceSize) {
      switch (reader_.next(bytes)) {
        case MessageSpool::Reader::Result::kBytes:
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

  MessageSpool::Reader reader_;
  DataEncoder encoder_;
  std::uint64_t left_;
  bool chunks_;
  bool done_ = false;
};

void Upstream::send_message(const MessageSpool& body, Deadline latest) {
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
        note_message_sent(sent);
        client_.end_of_data();
        return;
      }
      if (writer.chunks()) {
        client_.end_of_chunk();
      }
      piece.clear();
    }
    if (out.empty() && client_.may_send_chunk()) {
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

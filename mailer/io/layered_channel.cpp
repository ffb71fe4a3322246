#include "mailer/io/layered_channel.h"

#include <algorithm>
#include <utility>

namespace lmtpq::mailer {
namespace {

// For a caller that does not take what came, this much is opened. More stays sealed, and the
// channel below bounds that.
constexpr std::size_t kMaxUnconsumed = 256 * 1024;
// A peer could ask the layer for answers and not read them: this many bytes of them are kept.
constexpr std::size_t kMaxUnsent = 256 * 1024;
// Between two messages a peer may send session tickets; one that never stops is not idle.
constexpr int kMaxIdleReads = 8;
// The channel below reads first: a few rounds may pass before it writes.
constexpr int kMaxWriteRounds = 8;

}  // namespace

LayeredChannel::LayeredChannel(std::unique_ptr<Channel> below, std::unique_ptr<Layer> layer)
    : below_(std::move(below)), layer_(std::move(layer)) {
  // Bytes that came after the handshake are in the layer, and the channel below will not announce
  // them.
  open(opened_);
}

LayeredChannel::~LayeredChannel() {
  // After half a record the peer could not read a closing message. To complete that record now
  // could send the end of a message that the sender counts as not sent.
  if (state_ != State::kFailed && !below_ended_ && record_.plain == 0) {
    layer_->seal_end(unsent_);
    try_to_write(unsent_);
  }
}

IoStatus LayeredChannel::exchange(std::string_view& out, std::string& in, Deadline deadline) {
  const std::size_t had = in.size();
  in += std::exchange(opened_, {});
  if (!unopened_.empty() && in.size() < kMaxUnconsumed) {
    open(in);
  }
  if (in.size() > had) {
    return IoStatus::kProgress;
  }
  if (state_ == State::kFailed) {
    return IoStatus::kFailed;
  }
  if (state_ == State::kEnding || (state_ == State::kEnded && out.empty())) {
    return report_end();
  }
  if (record_.plain == 0 && !out.empty() && !seal(out)) {
    return IoStatus::kFailed;
  }
  return exchange_below(out, in, deadline);
}

IoStatus LayeredChannel::exchange_below(std::string_view& out, std::string& in, Deadline deadline) {
  const std::size_t had = in.size();
  std::string_view bytes = unsent_;
  const IoStatus status = below_->exchange(bytes, unopened_, deadline);
  const std::size_t count = unsent_.size() - bytes.size();
  note_sent(count, out);
  if (status == IoStatus::kFailed) {
    fail(below_->failure());
    return IoStatus::kFailed;
  }
  if (!unopened_.empty() && (in.size() < kMaxUnconsumed || status == IoStatus::kClosed)) {
    open(in);
  }
  const bool first_end = status == IoStatus::kClosed && note_end_below();
  if (in.size() > had || count > 0) {
    return IoStatus::kProgress;
  }
  if (state_ == State::kFailed) {
    return IoStatus::kFailed;
  }
  if (state_ == State::kEnding) {
    return report_end();
  }
  if (status == IoStatus::kClosed) {
    // The end was reported before. Another kClosed says that writing is over, too.
    return first_end ? IoStatus::kProgress : IoStatus::kClosed;
  }
  // Records that carry nothing for the caller must not keep it beyond its deadline.
  return status == IoStatus::kProgress && Clock::now() < deadline ? IoStatus::kProgress
                                                                  : IoStatus::kTimeout;
}

IoStatus LayeredChannel::report_end() {
  state_ = State::kEnded;
  failure_ = layer_->ending();
  return IoStatus::kClosed;
}

bool LayeredChannel::seal(std::string_view out) {
  const auto count = layer_->seal(out, unsent_);
  if (!count) {
    fail(layer_->failure());
    return false;
  }
  record_ = {*count, unsent_.size()};
  return true;
}

void LayeredChannel::note_sent(std::size_t count, std::string_view& out) {
  unsent_.erase(0, count);
  if (record_.plain > 0 && count >= record_.end) {
    out.remove_prefix(std::min(std::exchange(record_.plain, 0), out.size()));
  }
  record_.end -= std::min(count, record_.end);
}

void LayeredChannel::open(std::string& plain) {
  if (state_ != State::kOpen) {
    unopened_.clear();
    return;
  }
  const bool opened = layer_->open(unopened_, plain, unsent_);
  unopened_.clear();
  if (!opened) {
    fail(layer_->failure());
  } else if (layer_->ended()) {
    state_ = State::kEnding;
  } else if (unsent_.size() > kMaxUnsent) {
    fail("the peer does not read the answers that it asks for");
  }
}

// True: it was not known yet.
bool LayeredChannel::note_end_below() {
  if (std::exchange(below_ended_, true)) {
    return false;
  }
  if (state_ == State::kOpen) {
    fail(layer_->ending());
  }
  return true;
}

void LayeredChannel::fail(std::string reason) {
  state_ = State::kFailed;
  failure_ = std::move(reason);
  // The layer's alert, but not after half a record: see the destructor.
  if (record_.plain == 0) {
    try_to_write(unsent_);
  }
  unsent_.clear();
}

void LayeredChannel::try_to_write(std::string_view bytes) {
  std::string ignored;
  for (int round = 0; round < kMaxWriteRounds && !bytes.empty(); ++round) {
    if (below_->exchange(bytes, ignored, Clock::now()) != IoStatus::kProgress) {
      return;
    }
  }
}

bool LayeredChannel::quiet() {
  for (int round = 0; round < kMaxIdleReads; ++round) {
    // A connection with half a record on its way is not idle either.
    if (!opened_.empty() || !unopened_.empty() || state_ != State::kOpen || record_.plain > 0) {
      return false;
    }
    if (below_->quiet()) {
      return true;
    }
    std::string_view answers = unsent_;
    const IoStatus status = below_->exchange(answers, unopened_, Clock::now());
    unsent_.erase(0, unsent_.size() - answers.size());
    if (status == IoStatus::kFailed) {
      return false;
    }
    open(opened_);
    if (status == IoStatus::kClosed) {
      note_end_below();
    }
  }
  return false;
}

}  // namespace lmtpq::mailer

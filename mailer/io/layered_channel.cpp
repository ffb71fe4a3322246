#include "mailer/io/layered_channel.h"

#include <algorithm>
#include <utility>

namespace lmtpq::mailer {
namespace {

// Somebody who does not read what came has this much of it opened; the rest waits sealed, which the
// channel below bounds.
constexpr std::size_t kMaxUnconsumed = 256 * 1024;
// A peer that asks the layer for answers and does not read them.
constexpr std::size_t kMaxUnsent = 256 * 1024;
// Between two messages a peer may hand out session tickets; one that goes on and on is not idle.
constexpr int kMaxIdleReads = 8;
// The channel below reads first: a few rounds may pass before it writes.
constexpr int kMaxWriteRounds = 8;

}  // namespace

LayeredChannel::LayeredChannel(std::unique_ptr<Channel> below, std::unique_ptr<Layer> layer)
    : below_(std::move(below)), layer_(std::move(layer)) {
  // What came right behind the handshake lies in the layer, and nothing below will announce it.
  open(opened_);
}

LayeredChannel::~LayeredChannel() {
  // A goodbye behind half a record would be noise, and to finish that record now could send the
  // end of a message whose sender believes that it is not out.
  if (!failed_ && !below_ended_ && promised_ == 0) {
    layer_->say_goodbye(sealed_);
    try_to_write(sealed_);
  }
}

IoStatus LayeredChannel::exchange(std::string_view& out, std::string& in, Deadline deadline) {
  const std::size_t had = in.size();
  in += std::exchange(opened_, {});
  if (!raw_.empty() && in.size() < kMaxUnconsumed) {
    open(in);
  }
  if (in.size() > had) {
    return IoStatus::kProgress;
  }
  if (failed_) {
    return IoStatus::kFailed;
  }
  if (end_ == End::kHeard || (end_ == End::kTold && out.empty())) {
    return tell_end();
  }
  if (promised_ == 0 && !out.empty() && !seal(out)) {
    return IoStatus::kFailed;
  }
  std::string_view bytes = sealed_;
  const IoStatus status = below_->exchange(bytes, raw_, deadline);
  const std::size_t count = sealed_.size() - bytes.size();
  taken(count, out);
  if (status == IoStatus::kFailed) {
    fail(below_->failure());
    return IoStatus::kFailed;
  }
  if (!raw_.empty() && (in.size() < kMaxUnconsumed || status == IoStatus::kClosed)) {
    open(in);
  }
  const bool first_end = status == IoStatus::kClosed && end_below();
  if (in.size() > had || count > 0) {
    return IoStatus::kProgress;
  }
  if (failed_) {
    return IoStatus::kFailed;
  }
  if (end_ == End::kHeard) {
    return tell_end();
  }
  if (status == IoStatus::kClosed) {
    // The goodbye was told before; another kClosed says that writing is over, too.
    return first_end ? IoStatus::kProgress : IoStatus::kClosed;
  }
  // Records that carry nothing for the caller must not keep it beyond its deadline.
  return status == IoStatus::kProgress && Clock::now() < deadline ? IoStatus::kProgress
                                                                  : IoStatus::kTimeout;
}

IoStatus LayeredChannel::tell_end() {
  end_ = End::kTold;
  failure_ = layer_->ending();
  return IoStatus::kClosed;
}

bool LayeredChannel::seal(std::string_view out) {
  const auto count = layer_->seal(out, sealed_);
  if (!count) {
    fail(layer_->failure());
    return false;
  }
  promised_ = *count;
  promised_until_ = sealed_.size();
  return true;
}

void LayeredChannel::taken(std::size_t count, std::string_view& out) {
  sealed_.erase(0, count);
  if (promised_ > 0 && count >= promised_until_) {
    out.remove_prefix(std::min(std::exchange(promised_, 0), out.size()));
  }
  promised_until_ -= std::min(count, promised_until_);
}

void LayeredChannel::open(std::string& plain) {
  if (failed_ || end_ != End::kOpen) {
    raw_.clear();
    return;
  }
  const bool well = layer_->open(raw_, plain, sealed_);
  raw_.clear();
  if (!well) {
    fail(layer_->failure());
  } else if (layer_->ended()) {
    end_ = End::kHeard;
  } else if (sealed_.size() > kMaxUnsent) {
    fail("the peer asks for more than it reads");
  }
}

// True: nobody knew yet.
bool LayeredChannel::end_below() {
  if (std::exchange(below_ended_, true)) {
    return false;
  }
  if (end_ == End::kOpen && !failed_) {
    fail(layer_->ending());
  }
  return true;
}

void LayeredChannel::fail(std::string reason) {
  failed_ = true;
  failure_ = std::move(reason);
  if (promised_ == 0) {  // else the alert would stand behind half a record; see the destructor
    try_to_write(sealed_);
  }
  sealed_.clear();
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
    // Half a record on its way is not idle either.
    if (!opened_.empty() || failed_ || end_ != End::kOpen || promised_ > 0) {
      return false;
    }
    if (below_->quiet()) {
      return true;
    }
    std::string_view answers = sealed_;
    const IoStatus status = below_->exchange(answers, raw_, Clock::now());
    sealed_.erase(0, sealed_.size() - answers.size());
    if (status == IoStatus::kFailed) {
      return false;
    }
    open(opened_);
    if (status == IoStatus::kClosed) {
      end_below();
    }
  }
  return false;
}

}  // namespace lmtpq::mailer

// A channel below that does what the input says, and a caller that does too: what the caller reads
// is what the peer's records hold, in their order; a byte of the caller has left exactly when the
// record with it was taken as a whole; what is written are whole records, and at the end a part of
// one; a failure stays; and what a caller or a peer does not take is not kept without limit.
//
// A record is a letter, bytes and a dot: `dtext.` is data, `t.` is for the layer alone, `q.` asks
// for an answer as long as itself, `g.` is the closing message, any other is a failure, and so is
// one that is too long. The lines of the input are those of scripted_peer.h, and:
//   o TEXT  the caller wants to write the text     i  it takes what it reads, or does so again
//   O N     N bytes                                q  it asks whether the channel is quiet
//                                                  z  it destroys the channel

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mailer/io/layered_channel.h"
#include "tests/fuzz/scripted_peer.h"

namespace {

using namespace lmtpq;
using namespace lmtpq::mailer;
using fuzz::check;

constexpr std::size_t kPlainInRecord = 10;
constexpr std::size_t kMaxRecord = 16 * 1024;  // as that of TLS
constexpr std::size_t kMaxSent = 512 * 1024;
constexpr std::size_t kMaxUnread = 256 * 1024 + fuzz::ScriptedPeer::kMaxPiece + kMaxRecord;
constexpr std::size_t kMaxUnsent = 256 * 1024 + 2 * fuzz::ScriptedPeer::kMaxPiece;

// Reads whole records, without their dots, from bytes that grow.
class Records {
 public:
  explicit Records(const std::string& bytes) : bytes_(bytes) {}

  std::optional<std::string_view> next() {
    const std::size_t end = bytes_.find('.', at_);
    if (end == std::string::npos) {
      return std::nullopt;
    }
    const std::string_view record = std::string_view(bytes_).substr(at_, end - at_);
    at_ = end + 1;
    return record;
  }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  const std::string& bytes_;
  std::size_t at_ = 0;
};

char type_of(std::string_view record) {
  return record.empty() || record.size() > kMaxRecord ? '\0' : record[0];
}

class ToyLayer : public Layer {
 public:
  std::optional<std::size_t> seal(std::string_view plain, std::string& sealed) override {
    check(!plain.empty() && !sealed_end_);
    const std::string_view taken = plain.substr(0, kPlainInRecord);
    sealed += 'd' + std::string(taken) + '.';
    return taken.size();
  }

  bool open(std::string_view sealed, std::string& plain, std::string& answer) override {
    std::size_t begin = 0;
    held_ += sealed;
    for (std::size_t end = held_.find('.'); !over() && end != std::string::npos;
         end = held_.find('.', begin)) {
      const std::string record = held_.substr(begin, end - begin);
      begin = end + 1;
      switch (type_of(record)) {
        case 'd':
          plain += record.substr(1);
          break;
        case 't':
          break;
        case 'q':
          answer += 'a' + record.substr(1) + '.';
          break;
        case 'g':
          ended_ = true;
          break;
        default:
          fail("no such record", answer);
      }
    }
    held_.erase(0, begin);
    if (!over() && held_.size() > kMaxRecord) {
      fail("a record is too long", answer);
    }
    return failure_.empty();
  }

  std::string ending() const override { return ended_ ? "closed" : "truncated"; }
  bool ended() const override { return ended_; }
  const std::string& failure() const override { return failure_; }
  void seal_end(std::string& sealed) override {
    sealed += "g.";
    sealed_end_ = true;
  }

 private:
  bool over() const { return ended_ || !failure_.empty(); }
  void fail(const char* why, std::string& answer) {
    failure_ = why;
    answer += "!.";
  }

  std::string held_;
  bool ended_ = false;
  bool sealed_end_ = false;
  std::string failure_;
};

class Player {
 public:
  explicit Player(std::string_view input)
      : script_(input),
        channel_(std::make_unique<LayeredChannel>(
            std::make_unique<fuzz::ScriptedPeer>(script_, traffic_, IoStatus::kTimeout, kMaxSent),
            std::make_unique<ToyLayer>())) {}

  void run() {
    while (!script_.over() && script_.letter() != 'z') {
      step();
    }
    if (script_.over()) {
      read_all();
    }
    channel_.reset();
    check_taken();
  }

 private:
  void read_all() {
    takes_ = true;
    take_input();
    while (exchange() == IoStatus::kProgress) {
    }
    check(read_ == sent_plain() || status_ == IoStatus::kFailed);
    check(!peer_ended_ || status_ != IoStatus::kProgress);
  }

  void step() {
    std::string_view text;
    switch (script_.letter()) {
      case 'o':
        want(script_.take());
        break;
      case 'O':
        text = script_.take();
        want(std::string(std::min<std::size_t>(fuzz::take_number(text, 1), 5000), 'y'));
        break;
      case 'i':
        script_.take();
        takes_ = !takes_;
        break;
      case 'q':
        script_.take();
        ask_quiet();
        break;
      default:
        const std::size_t left = script_.left();
        if (exchange() != IoStatus::kProgress && script_.left() == left) {
          script_.take();  // it fails, whatever the peer does
        }
    }
  }

  void want(std::string_view text) {
    out_ += text;
    std::replace(out_.begin(), out_.end(), '.', ':');
  }

  IoStatus exchange() {
    std::string_view out = out_;
    const std::size_t had = in_.size();
    const IoStatus status = channel_->exchange(out, in_, Deadline::max());
    check(status == IoStatus::kProgress || (in_.size() == had && out.size() == out_.size()));
    check(status_ != IoStatus::kFailed || status == IoStatus::kFailed);
    check(status_ != IoStatus::kClosed || in_.size() == had);
    check(status != IoStatus::kFailed || !channel_->failure().empty());
    // At the end of the peer's side all that came is opened.
    check(in_.size() <= (traffic_.ended ? kMaxSent : kMaxUnread) && traffic_.largest <= kMaxUnsent);
    left_ += out_.size() - out.size();
    out_.erase(0, out_.size() - out.size());
    if (status == IoStatus::kFailed || (status == IoStatus::kClosed && status_ != status)) {
      status_ = status;
    }
    if (takes_) {
      take_input();
    }
    check_taken();
    return status;
  }

  void take_input() {
    check(sent_plain().compare(read_.size(), in_.size(), in_) == 0);
    read_ += std::exchange(in_, {});
  }

  void ask_quiet() {
    if (channel_->quiet()) {
      check(read_ + in_ == sent_plain() && !peer_ended_ && status_ == IoStatus::kProgress);
    }
    check_taken();
  }

  // What the peer's records hold, up to the end of the stream, whether good or bad.
  const std::string& sent_plain() {
    for (auto record = sent_.next(); record && !peer_ended_; record = sent_.next()) {
      peer_ended_ = std::string_view("dtq").find(type_of(*record)) > 2;
      if (!peer_ended_ && record->front() == 'd') {
        plain_ += record->substr(1);
      }
    }
    return plain_;
  }

  // Whole records, which hold what has left, and a part of one.
  void check_taken() {
    while (const auto record = taken_.next()) {
      const char type = record->empty() ? '\0' : record->front();
      check(type == 'd' || type == 'a' || ((type == '!' || type == 'g') && taken_.at_end()));
      check(type != 'g' || channel_ == nullptr);
      left_in_records_ += type == 'd' ? record->size() - 1 : 0;
    }
    check(left_in_records_ == left_);
  }

  fuzz::Script script_;
  fuzz::Traffic traffic_;
  Records sent_{traffic_.sent};
  Records taken_{traffic_.taken};
  std::unique_ptr<LayeredChannel> channel_;
  std::string out_;
  std::string in_;
  std::string read_;
  std::string plain_;  // in the records that were sent
  bool peer_ended_ = false;
  std::size_t left_ = 0;  // bytes of the caller
  std::size_t left_in_records_ = 0;
  bool takes_ = true;
  IoStatus status_ = IoStatus::kProgress;  // kFailed or kClosed, once it was returned
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Player({reinterpret_cast<const char*>(data), size}).run();
  return 0;
}

// A layer that anyone can read, and the wire below it.
//
// A ToyLayer seals records whose type says what happens to them, and opens them. WireChannel is a
// Channel over a Wire, which the test controls byte by byte; the Wire outlives the channel.
#pragma once

#include <cppunit/extensions/HelperMacros.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "mailer/io/layered_channel.h"

namespace lmtpq::mailer::toy {

inline constexpr std::size_t kRecord = 1000;  // the toy layer's largest
inline constexpr std::size_t kHead = 7;

// A record: its type, six digits of length, the bytes.
inline std::string record(char type, std::string_view bytes = "") {
  std::array<char, kHead + 1> head{};
  std::snprintf(head.data(), head.size(), "%c%06u", type, static_cast<unsigned>(bytes.size()));
  return head.data() + std::string(bytes);
}

// d: bytes; t: a ticket, nothing to the caller; q: wants an answer; g: closing message; otherwise a
// failure.
class ToyLayer : public Layer {
 public:
  explicit ToyLayer(std::string held = "") : unopened_(std::move(held)) {}

  std::optional<std::size_t> seal(std::string_view plain, std::string& sealed) override {
    if (plain.starts_with("unsealable")) {
      failure_ = "cannot be sealed";
      return std::nullopt;
    }
    const std::string_view taken = plain.substr(0, kRecord);
    sealed += record('d', taken);
    return taken.size();
  }

  bool open(std::string_view sealed, std::string& plain, std::string& answer) override {
    unopened_ += sealed;
    while (failure_.empty() && !ended_ && unopened_.size() >= kHead) {
      const std::size_t size = std::stoul(unopened_.substr(1, kHead - 1));
      if (unopened_.size() < kHead + size) {
        break;
      }
      open_record(unopened_[0], unopened_.substr(kHead, size), plain, answer);
      unopened_.erase(0, kHead + size);
    }
    return failure_.empty();
  }

  std::string ending() const override { return ended_ ? "closed" : "truncated"; }
  bool ended() const override { return ended_; }
  const std::string& failure() const override { return failure_; }
  void seal_end(std::string& sealed) override { sealed += record('g'); }

 private:
  void open_record(char type, const std::string& bytes, std::string& plain, std::string& answer) {
    switch (type) {
      case 'd':
        plain += bytes;
        break;
      case 't':
        break;
      case 'q':
        answer += record('a');
        break;
      case 'g':
        ended_ = true;
        break;
      default:
        answer += record('!');
        failure_ = "no such record";
    }
  }

  std::string unopened_;
  bool ended_ = false;
  std::string failure_;
};

inline constexpr std::size_t kAll = ~std::size_t{0};

// What passes below, for the test to look at and to steer.
struct Wire {
  std::string to_us;
  std::string from_us;
  std::size_t most_read = kAll;  // in one call
  std::size_t room = kAll;       // before writing blocks
  bool ended = false;
  bool broken = false;
  bool endless = false;  // to_us never runs dry
  int rounds = 0;
};

class WireChannel : public Channel {
 public:
  explicit WireChannel(Wire& wire) : wire_(wire) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline) override {
    ++wire_.rounds;
    if (wire_.broken) {
      failure_ = "read: broken";
      return IoStatus::kFailed;
    }
    const std::string_view ready = std::string_view(wire_.to_us).substr(0, wire_.most_read);
    if (!ready.empty() && in.size() < 256 * 1024) {
      in += ready;
      wire_.to_us.erase(0, wire_.endless ? 0 : ready.size());
      return IoStatus::kProgress;
    }
    if (wire_.to_us.empty() && wire_.ended && (!end_told_ || out.empty())) {
      end_told_ = true;
      failure_ = "the peer closed the connection";
      return IoStatus::kClosed;
    }
    const std::size_t count = std::min(out.size(), wire_.room);
    wire_.from_us += out.substr(0, count);
    out.remove_prefix(count);
    wire_.room -= wire_.room == kAll ? 0 : count;
    return count > 0 ? IoStatus::kProgress : IoStatus::kTimeout;
  }

  bool quiet() override { return wire_.to_us.empty() && !wire_.ended && !wire_.broken; }
  const std::string& failure() const override { return failure_; }

 private:
  Wire& wire_;
  bool end_told_ = false;
  std::string failure_;
};

inline std::unique_ptr<LayeredChannel> over(Wire& wire, std::string held = "") {
  return std::make_unique<LayeredChannel>(std::make_unique<WireChannel>(wire),
                                          std::make_unique<ToyLayer>(std::move(held)));
}

inline Deadline soon() { return Clock::now() + std::chrono::seconds(60); }

inline void check(IoStatus expected, IoStatus status) {
  CPPUNIT_ASSERT_EQUAL(static_cast<int>(expected), static_cast<int>(status));
}

// The bytes within records of data.
inline std::string opened(std::string_view sealed) {
  ToyLayer layer;
  std::string plain;
  std::string answer;
  CPPUNIT_ASSERT(layer.open(sealed, plain, answer));
  return plain;
}

}  // namespace lmtpq::mailer::toy

// A Channel through a layer that changes the bytes: TLS, or a SASL security layer.
//
// Bytes leave the caller's `out` exactly when the channel below has taken everything that they were
// sealed into. So the last byte of a message counts as sent neither while it is still in a buffer
// here, nor later than it left.
//
// One thread or fiber; owns the channel below and the layer. Destruction sends the layer's closing
// message (TLS: close_notify), if the peer can still read one, and closes. A failure of the layer
// (a bad record, a stream that ends without a closing message) is kFailed with the layer's text,
// from then on always.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mailer/io/channel.h"

namespace lmtpq::mailer {

class Layer {
 public:
  virtual ~Layer() = default;

  // Seals some of the front of `plain` (at least a byte) and appends the result to `sealed`;
  // returns how many bytes of `plain` that was. Empty: failure(). The peer can use what was sealed
  // only as a whole.
  virtual std::optional<std::size_t> seal(std::string_view plain, std::string& sealed) = 0;
  // Takes all of `sealed`, which may begin and end anywhere, and appends what it opens to `plain`.
  // What the layer itself must send to the peer (TLS: alerts, key updates) goes to `answer`. False:
  // failure(); bytes opened before the failure are in `plain`. With an empty `sealed`, it returns
  // what the layer may hold already.
  virtual bool open(std::string_view sealed, std::string& plain, std::string& answer) = 0;
  // For the log: how the peer ended the stream, with the layer's closing message or without it.
  virtual std::string ending() const = 0;
  // The peer's closing message has come: no more will follow.
  virtual bool ended() const = 0;
  virtual const std::string& failure() const = 0;
  // Appends our closing message, if the layer has one. Seal nothing after it.
  virtual void seal_end(std::string& /*sealed*/) {}
};

class LayeredChannel : public Channel {
 public:
  LayeredChannel(std::unique_ptr<Channel> below, std::unique_ptr<Layer> layer);
  ~LayeredChannel() override;

  // If this call does not take the bytes at the front of `out`, the next call must pass them again.
  // kProgress may also mean that only the layer made progress: a part of a record, or a record
  // without bytes for the caller.
  IoStatus exchange(std::string_view& out, std::string& in, Deadline deadline) override;
  // Records for the layer itself (TLS: session tickets) do not count as bytes from the peer.
  bool quiet() override;
  void cut() override { below_->cut(); }
  const std::string& failure() const override { return failure_; }

 private:
  enum class State {
    kOpen,
    kEnding,  // the peer's closing message came; what it sent before is being handed out
    kEnded,   // kClosed was returned: the caller may go on writing
    kFailed,
  };
  // The sealed bytes of the caller that are not written yet.
  struct Record {
    std::size_t plain = 0;  // how many bytes of `out` are in it; 0: there is none
    std::size_t end = 0;    // where it ends in unsent_
  };

  IoStatus exchange_below(std::string_view& out, std::string& in, Deadline deadline);
  bool seal(std::string_view out);
  void note_sent(std::size_t count, std::string_view& out);
  void open(std::string& plain);
  bool note_end_below();
  IoStatus report_end();
  void fail(std::string reason);
  void try_to_write(std::string_view bytes);

  std::unique_ptr<Channel> below_;
  std::unique_ptr<Layer> layer_;
  std::string unopened_;  // came from below
  std::string opened_;    // not handed out yet
  std::string unsent_;    // sealed, not yet taken by the channel below
  Record record_;
  State state_ = State::kOpen;
  bool below_ended_ = false;
  std::string failure_;
};

}  // namespace lmtpq::mailer

// A Channel through a layer that changes the bytes: TLS, or a SASL security layer.
//
// What it is: the bookkeeping that every such layer needs. Bytes leave the caller's `out` exactly
//   when all that they were sealed into has been taken by the channel below: whoever waits for the
//   last byte of a message to be out must be told so neither while it still lies in a buffer here
//   nor later than it left.
// What it does not know: TLS, SASL, LMTP.
// Called by: Upstream, which puts it in place of the channel that it wraps.
// Threads and lifetimes: one thread; owns the channel below and the layer. Destruction says the
//   layer's goodbye, if the moment allows it, and closes.
// Failure: as a Channel's; a layer that fails (a record that does not fit, a stream that ends
//   without the layer's goodbye) is kFailed with the layer's words, for good.
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
  // returns how many bytes of `plain` that was. Nothing: failure(). What was sealed is of use to
  // the peer only as a whole.
  virtual std::optional<std::size_t> seal(std::string_view plain, std::string& sealed) = 0;
  // Takes all of `sealed`, which may begin and end anywhere, and appends what it opens to `plain`.
  // What the layer itself has to say to the peer (TLS: alerts, key updates) goes to `answer`.
  // False: failure(); bytes opened before the failure are in `plain`. With nothing to take, it
  // hands out what the layer may hold already.
  virtual bool open(std::string_view sealed, std::string& plain, std::string& answer) = 0;
  // The peer ended the stream below without saying goodbye in the layer; or it did. The words for
  // the log.
  virtual std::string ending() const = 0;
  // Whether the layer has heard the peer's goodbye: no more will come.
  virtual bool ended() const = 0;
  virtual const std::string& failure() const = 0;
  // Appends our own goodbye, if the layer has one; nothing is sealed behind it.
  virtual void say_goodbye(std::string& /*sealed*/) {}
};

class LayeredChannel : public Channel {
 public:
  LayeredChannel(std::unique_ptr<Channel> below, std::unique_ptr<Layer> layer);
  ~LayeredChannel() override;

  // `out` must begin with the same bytes in the next call, when this one did not take them.
  // kProgress may also mean that only the layer got on: part of a record, a record of its own.
  IoStatus exchange(std::string_view& out, std::string& in, Deadline deadline) override;
  // What the layer consumes itself (TLS: session tickets) is not the peer speaking.
  bool quiet() override;
  void cut() override { below_->cut(); }
  const std::string& failure() const override { return failure_; }

 private:
  enum class End {
    kOpen,
    kHeard,  // the peer's goodbye came; what it said before is being handed out
    kTold,   // kClosed was returned: we may go on writing
  };

  bool seal(std::string_view out);
  void taken(std::size_t count, std::string_view& out);
  void open(std::string& plain);
  bool end_below();
  IoStatus tell_end();
  void fail(std::string reason);
  void try_to_write(std::string_view bytes);

  std::unique_ptr<Channel> below_;
  std::unique_ptr<Layer> layer_;
  std::string raw_;                 // came from below, not opened yet
  std::string opened_;              // opened, not handed out yet
  std::string sealed_;              // not yet taken by the channel below
  std::size_t promised_ = 0;        // how many bytes of `out` are in it,
  std::size_t promised_until_ = 0;  // and where in it they end
  End end_ = End::kOpen;
  bool below_ended_ = false;
  bool failed_ = false;
  std::string failure_;
};

}  // namespace lmtpq::mailer

// A client and a store that have just shaken hands, or tried to.
//
// What it is: shake_hands() over the road between the two, and the channel that comes of it.
// What it does not know: what the test looks for.
// Called by: the tests of TLS.
// Threads and lifetimes: client and server outlive it, and it the channel.
// Failure: `done` is false, and `failure` has the words.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "layered_channel.h"
#include "tls_client.h"
#include "tls_server.h"

namespace lmtpq {

inline Deadline soon() { return Clock::now() + std::chrono::seconds(5); }

struct Meeting {
  Meeting(TlsClient& client, const TlsServer& server, Road on = {})
      : store(server), road(on), layer(client.connect()) {
    StoreChannel channel(store, road);
    done = shake_hands(*layer, channel, soon(), failure);
  }

  // Once; takes the layer.
  std::unique_ptr<LayeredChannel> channel() {
    return std::make_unique<LayeredChannel>(std::make_unique<StoreChannel>(store, road),
                                            std::move(layer));
  }

  TlsStore store;
  Road road;
  std::unique_ptr<TlsLayer> layer;
  bool done = false;
  std::string failure;
};

}  // namespace lmtpq

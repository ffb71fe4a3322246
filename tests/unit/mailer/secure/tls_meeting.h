// A client and a store after their handshake, successful or not.
//
// The handshake over the wire between the two, and the channel that results. Client and server
// outlive it, and it outlives the channel. If `done` is false, `failure` has the reason.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "mailer/io/layered_channel.h"
#include "mailer/secure/tls_factory.h"
#include "tests/unit/mailer/secure/tls_server.h"

namespace lmtpq::mailer::tls_test {

inline Deadline soon() { return Clock::now() + std::chrono::seconds(60); }

struct Meeting {
  Meeting(TlsFactory& factory, const TlsServer& server, WireOptions on = {})
      : store(server), wire(on), layer(factory.connect()) {
    StoreChannel channel(store, wire);
    done = shake_hands(*layer, channel, soon(), failure);
  }

  // Call it once; it takes the layer.
  std::unique_ptr<LayeredChannel> channel() {
    return std::make_unique<LayeredChannel>(std::make_unique<StoreChannel>(store, wire),
                                            std::move(layer));
  }

  TlsStore store;
  WireOptions wire;
  std::unique_ptr<TlsConnection> layer;
  bool done = false;
  std::string failure;
};

inline constexpr int kVersions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

inline const Certified& certified() {
  static const Certified made = [] {
    Request request;
    request.names = "DNS:store";
    return Authority::certify_itself(request);
  }();
  return made;
}

// A server of one version, and a client that accepts any certificate.
struct Sides {
  explicit Sides(int version) : server(&certified()), factory(settings, "store") {
    server.versions(version, version);
  }
  TlsSettings settings;
  TlsServer server;
  TlsFactory factory;
};

// Reads until the wire is empty.
inline std::string hear(Channel& channel) {
  std::string all;
  std::string in;
  std::string_view nothing;
  while (channel.exchange(nothing, in, soon()) == IoStatus::kProgress) {
    all += std::exchange(in, {});
  }
  return all;
}

}  // namespace lmtpq::mailer::tls_test

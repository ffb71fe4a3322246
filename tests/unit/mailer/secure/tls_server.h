// The store's side of TLS, in memory.
//
// TlsServer is an OpenSSL server: what its connections share. TlsStore is one connection to it; a
// Channel of the tests leads to it, byte by byte if needed. Server and stores outlive the channels.
// Failure is error(), or an exception, which fails the test.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "mailer/io/channel.h"
#include "tests/unit/mailer/secure/tls_authority.h"

namespace lmtpq::mailer::tls_test {

class TlsServer {
 public:
  explicit TlsServer(const Certified* certified);  // null: ciphers without certificates only
  ~TlsServer();
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;

  TlsServer& versions(int least, int most);
  TlsServer& ask_for_certificate(const Authority& clients, bool must = false);
  SSL_CTX* context() const { return context_; }
  void show(const Certified& certified);  // from now on

 private:
  SSL_CTX* context_;
};

class TlsStore {
 public:
  explicit TlsStore(const TlsServer& server);
  ~TlsStore();
  TlsStore(const TlsStore&) = delete;
  TlsStore& operator=(const TlsStore&) = delete;

  void take(std::string_view sealed);  // what the client sent
  void say(std::string_view plain);    // sealed, for the client; before the handshake: at its end
  void send_close_notify();
  void flush();  // passes on what OpenSSL wrote in other calls

  SSL* connection() const { return connection_; }
  bool shook_hands() const { return SSL_is_init_finished(connection_) == 1; }

  std::string heard;      // opened
  std::string to_client;  // sealed, or what the test puts there
  std::string taken;      // all that the client sent, as it came
  std::string error;      // OpenSSL's text
  bool got_close_notify = false;

 private:
  void failed();

  SSL* connection_;
  std::string to_say_;
};

// How the bytes travel.
struct WireOptions {
  std::size_t most_read = ~std::size_t{0};   // in one call
  std::size_t most_write = ~std::size_t{0};  // in one call
  bool ended = false;                        // the store closes once all is read
};

class StoreChannel : public Channel {
 public:
  StoreChannel(TlsStore& store, WireOptions& wire) : store_(store), wire_(wire) {}

  IoStatus exchange(std::string_view& out, std::string& in, Deadline deadline) override;
  bool quiet() override { return store_.to_client.empty() && !wire_.ended; }
  const std::string& failure() const override { return failure_; }

 private:
  TlsStore& store_;
  WireOptions& wire_;
  std::string failure_;
};

}  // namespace lmtpq::mailer::tls_test

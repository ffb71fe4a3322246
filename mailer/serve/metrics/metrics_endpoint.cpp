#include "mailer/serve/metrics/metrics_endpoint.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>

#include <cerrno>
#include <exception>
#include <list>
#include <string_view>
#include <utility>

#include "common/config_error.h"
#include "common/few_descriptors.h"
#include "mailer/serve/metrics/metrics.h"

namespace lmtpq::mailer {
namespace {

// A scrape takes milliseconds. For a new client the oldest one is disconnected, and those that have
// taken too long: clients that send or read slowly delay no other.
constexpr std::size_t kMostClients = 16;
constexpr unsigned kSilence = 5;  // seconds, without a byte
constexpr std::chrono::seconds kMostTime{10};
constexpr std::size_t kRequestMemory = 16 * 1024;

Destination listen_address(const std::string& address) {
  return parse_destination(address.starts_with("unix:") ? address : "inet:" + address);
}

}  // namespace

// Its functions are called by libmicrohttpd's thread, one after the other.
struct MetricsEndpoint::Server {
  struct Peer {
    int socket;
    Clock::time_point since;
  };
  using Peers = std::list<Peer>;

  Server(const std::string& address, const OpenSocket& open, const DaemonParts& parts);
  ~Server() { stop(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  static MHD_Result answer(void* self, MHD_Connection* client, const char* path, const char* method,
                           const char* version, const char* body, std::size_t* size, void** seen);
  static void notify(void* self, MHD_Connection* client, void** peer,
                     MHD_ConnectionNotificationCode code);
  void make_room();
  void start();
  void stop();

  const std::shared_ptr<ListeningSocket> socket;
  Metrics metrics;
  Peers peers;  // the oldest first
  MHD_Daemon* daemon = nullptr;
};

MetricsEndpoint::Server::Server(const std::string& address, const OpenSocket& open,
                                const DaemonParts& parts)
    : socket(open(listen_address(address), ListenerOptions())), metrics(parts) {
  start();
}

void MetricsEndpoint::Server::start() {
  const int copy = fcntl(socket->number(), F_DUPFD_CLOEXEC, 0);  // which libmicrohttpd closes
  daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC, 0, nullptr, nullptr,
                            &Server::answer, this, MHD_OPTION_LISTEN_SOCKET, copy,
                            MHD_OPTION_NOTIFY_CONNECTION, &Server::notify, this,
                            MHD_OPTION_CONNECTION_TIMEOUT, kSilence, MHD_OPTION_CONNECTION_LIMIT,
                            static_cast<unsigned>(2 * kMostClients),
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, kRequestMemory, MHD_OPTION_END);
  if (daemon == nullptr) {
    const Descriptor unused(copy);
    throw ConfigError(std::string("libmicrohttpd does not start") +
                      remedy_for_few_descriptors(errno));
  }
}

void MetricsEndpoint::Server::stop() {
  if (daemon == nullptr) {
    return;
  }
  // First, since otherwise the end shuts the socket down for all processes that have it.
  const Descriptor copy(MHD_quiesce_daemon(daemon));
  MHD_stop_daemon(std::exchange(daemon, nullptr));
}

void MetricsEndpoint::Server::notify(void* self, MHD_Connection* client, void** peer,
                                     MHD_ConnectionNotificationCode code) {
  auto& server = *static_cast<Server*>(self);
  try {
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
      server.make_room();
      const MHD_ConnectionInfo* const info =
          MHD_get_connection_info(client, MHD_CONNECTION_INFO_CONNECTION_FD);
      server.peers.push_back({info->connect_fd, Clock::now()});
      *peer = &server.peers.back();
    } else {
      server.peers.remove_if([&](const Peer& one) { return &one == *peer; });
    }
  } catch (const std::exception&) {
    // Out of memory: this client is not limited.
  }
}

// Those that are shut down have ended before the thread looks for new clients again.
void MetricsEndpoint::Server::make_room() {
  const Clock::time_point now = Clock::now();
  std::size_t left = peers.size();
  for (const Peer& peer : peers) {
    if (left >= kMostClients || now - peer.since > kMostTime) {
      shutdown(peer.socket, SHUT_RDWR);
      --left;
    }
  }
}

// Called from C code, which an exception must not reach.
MHD_Result MetricsEndpoint::Server::answer(void* self, MHD_Connection* client, const char* path,
                                           const char* method, const char* /*version*/,
                                           const char* /*body*/, std::size_t* /*size*/,
                                           void** /*seen*/) try {
  const std::string_view verb = method;
  const bool good = std::string_view(path) == "/metrics" && (verb == "GET" || verb == "HEAD");
  const std::string text =
      good ? prometheus::TextSerializer().Serialize(static_cast<Server*>(self)->metrics.Collect())
           : "The metrics are at /metrics.\n";
  // It copies the text, and does not change it.
  MHD_Response* const response = MHD_create_response_from_buffer(
      text.size(), const_cast<char*>(text.data()), MHD_RESPMEM_MUST_COPY);
  MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  MHD_add_response_header(response, "Connection", "close");
  const MHD_Result queued =
      MHD_queue_response(client, good ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND, response);
  MHD_destroy_response(response);
  return queued;
} catch (const std::exception&) {
  return MHD_NO;  // out of memory: the client is disconnected
}

MetricsEndpoint::MetricsEndpoint(const std::string& address, const OpenSocket& open,
                                 const DaemonParts& daemon) try
    : server_(new Server(address, open, daemon)) {
} catch (const std::exception& error) {
  throw ConfigError('"' + address + "\": cannot listen: " + error.what());
}

MetricsEndpoint::~MetricsEndpoint() = default;

ListeningSocket& MetricsEndpoint::socket() const { return *server_->socket; }

void MetricsEndpoint::restore(const Log& log) {
  if (!server_->socket->restore(log) && server_->daemon != nullptr) {
    return;
  }
  server_->stop();
  try {
    server_->start();
  } catch (const std::exception&) {
    // No thread or no descriptor: tried again by the next call.
  }
}

}  // namespace lmtpq::mailer

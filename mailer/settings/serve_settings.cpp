#include "mailer/settings/serve_settings.h"

#include <algorithm>

#include "common/network/network.h"
#include "common/options/option_table.h"

namespace lmtpq::mailer {
namespace {

Reader mode(mode_t& into) {
  return [&into](std::string_view text) {
    if (text.empty() || text.size() > 4 || text.find_first_not_of("01234567") != text.npos) {
      throw ConfigError("expected a mode such as 0660");
    }
    into = static_cast<mode_t>(std::stoul(std::string(text), nullptr, 8)) & 0777;
  };
}

Reader clients(ClientList& into) {
  return [&into](std::string_view words) { into = ClientList::parse(words); };
}

// Addresses only: a name may change its meaning, and with it who can read the metrics.
Reader metrics_address(std::string& into) {
  return [&into](std::string_view value) {
    const std::size_t colon = value.rfind(':');
    const std::string_view port = value.substr(std::min(colon, value.size()));
    std::string_view host = value.substr(0, colon);
    const bool brackets = host.starts_with('[') && host.ends_with(']');
    host = brackets ? host.substr(1, host.size() - 2) : host;
    const bool digits = port.size() > 1 && port.size() <= 6 && port[1] != '0' &&
                        port.find_first_not_of("0123456789", 1) == port.npos &&
                        std::stoul(std::string(port.substr(1))) <= 65'535;
    const auto address = Address::parse(host);
    const bool good = digits && address && address->is_ipv4() != brackets;
    const bool path = value.starts_with("unix:/");
    if (!value.empty() && !good && !path) {
      throw ConfigError(
          "expected ADDRESS:PORT, such as 127.0.0.1:9024 or [::1]:9024, or unix:/PATH");
    }
    into = value;
  };
}

// Empty: 0, the default.
std::uint64_t memory_limit(std::string_view text) {
  constexpr std::uint64_t kLeast = 1024 * 1024;
  const std::uint64_t size = text.empty() ? 0 : parse_size(text);
  if (!text.empty() && size < kLeast) {
    throw ConfigError("expected 1M at least");
  }
  return size;
}

OptionTable limit_options(ServeSettings& s) {
  return under(
      "Limits",
      {value("max-clients", "N", "5000", "maximum number of clients; more are refused with 421",
             reader::number(s.max_clients, 1, 1'000'000)),
       value("max-clients-each", "N", "0",
             "maximum number of clients from one address or, over a unix socket, of one user; 0: "
             "unlimited",
             reader::number(s.max_clients_each, 0, 1'000'000)),
       value("memory-limit", "SIZE", "",
             "maximum memory for what clients make the daemon keep, a number of bytes with k, M or "
             "G; near it new messages get 452 4.3.1; default: half of the memory limit of the "
             "daemon's cgroup, or 512M without one",
             [&s](std::string_view size) { s.memory_limit = memory_limit(size); }),
       value("mailbox-limit", "N", "10",
             "maximum number of deliveries to one mailbox at a time; more wait (Cyrus and Dovecot "
             "defer more than 10); 0: no limit",
             reader::number(s.mailbox_limit, 0, 1'000'000)),
       value("drain-timeout", "TIME", "60s",
             "after SIGTERM, time for messages in progress; then connections are closed",
             reader::duration(s.drain)),
       value(
           "upgrade-memory", "SIZE", "",
           "start a new process in place of this one, as at SIGUSR2, if it keeps this much memory "
           "that clients do not account for (a library leaks); 0: never; default: half of "
           "memory-limit",
           [&s](std::string_view size) {
             s.upgrade_memory = size.empty() ? std::nullopt : std::optional(parse_size(size));
           }),
       advanced(value("upgrade-memory-time", "TIME", "10m",
                      "for this long, without a break, before upgrade-memory applies",
                      reader::duration(s.upgrade_memory_time))),
       advanced(value("max-idle-commands", "N", "1000",
                      "disconnect a client after this many commands in a row without a message; "
                      "0: no limit",
                      reader::number(s.max_idle_commands, 0, 1'000'000'000)))});
}

}  // namespace

OptionTable listener_option_table(ListenerOptions& s) {
  return under(
      "The listener",
      {value("listen-mode", "MODE", "0660", "mode of a unix socket", mode(s.mode)),
       value("listen-owner", "USER", "",
             "owner of a unix socket: USER, USER:GROUP or :GROUP; default: the user that starts "
             "the daemon",
             reader::text(s.owner)),
       value("clients", "LIST", "",
             "clients that may deliver: addresses, networks, uid:N, user:NAME, all; default: over "
             "TCP this host only, over a unix socket all that its mode admits",
             clients(s.clients)),
       value("trusted-clients", "LIST", "",
             "clients that may use IGNOREQUOTA and TRACE; default: none", clients(s.trusted)),
       value("offer-pipelining", "SWITCH", "",
             "offer PIPELINING to clients: yes or no; no is for listeners that Sendmail uses; "
             "default: yes over TCP, no over a unix socket",
             [&s](std::string_view text) { s.offers_pipelining = parse_switch(text); })});
}

OptionTable serve_option_table(ServeSettings& s) {
  OptionTable table = under(
      "The daemon",
      {value("listen", "ADDRESS", "",
             "listen on unix:PATH or inet:HOST[:PORT]; several with commas; more in sections "
             "[listener.NAME] of the file",
             [&s](std::string_view list) { s.listen = parse_listen_addresses(list); }),
       value("balance", "HOW", "order",
             "which of several DESTs gets a message: order (the first that is up), weight (at "
             "random, in proportion to --weight), least-used (fewest connections in use for its "
             "--weight)",
             reader::choice(s.balance, {{"order", Balance::kOrder},
                                        {"weight", Balance::kWeight},
                                        {"least-used", Balance::kLeastUsed}})),
       value("control", "PATH", kDefaultControl, "unix socket that --status asks",
             reader::absolute_path(s.control)),
       value("metrics", "ADDRESS", "",
             "serve Prometheus metrics at this ADDRESS:PORT or unix:PATH; default: off",
             metrics_address(s.metrics)),
       advanced(value("threads", "N", "1",
                      "threads that serve clients; one is enough for several thousand messages a "
                      "second",
                      reader::number(s.threads, 1, 256))),
       argv_only(value("check", "", "",
                       "check the configuration, its keys and certificates, and exit",
                       reader::boolean(s.check))),
       argv_only(value("status", "", "", "show the state of the running daemon, and exit",
                       reader::boolean(s.status)))});
  append(table, limit_options(s));
  return table;
}

}  // namespace lmtpq::mailer

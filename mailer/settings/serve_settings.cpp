#include "mailer/settings/serve_settings.h"

#include <algorithm>

#include "common/config/option_table.h"
#include "common/network.h"

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

// Numbers only: what a name stands for may change, and with it who is answered.
Reader metrics_address(std::string& into) {
  return [&into](std::string_view value) {
    const std::size_t colon = value.rfind(':');
    const std::string_view port = value.substr(std::min(colon, value.size()));
    std::string_view host = value.substr(0, colon);
    const bool brackets = host.starts_with('[') && host.ends_with(']');
    host = brackets ? host.substr(1, host.size() - 2) : host;
    const bool digits = port.size() > 1 && port.size() <= 6 &&
                        port.find_first_not_of("0123456789", 1) == port.npos &&
                        std::stoul(std::string(port.substr(1))) <= 65'535;
    const auto address = Address::parse(host);
    const bool good = digits && address && address->is_ipv4() != brackets;
    if (!value.empty() && !good) {
      throw ConfigError("expected ADDRESS:PORT, such as 127.0.0.1:9024 or [::1]:9024");
    }
    into = value;
  };
}

Table limit_options(ServeSettings& s) {
  return under(
      "Limits",
      {value("max-clients", "N", "5000", "clients at once; more are told to come again",
             reader::number(s.max_clients, 1, 1'000'000)),
       value("max-clients-each", "N", "0",
             "of one address, or over a unix socket one user; 0: no limit of its own",
             reader::number(s.max_clients_each, 0, 1'000'000)),
       value("max-idle-commands", "N", "1000",
             "commands in a row that bring no mail; then the client is sent away; 0: no limit",
             reader::number(s.max_idle_commands, 0, 1'000'000'000)),
       value("mailbox-limit", "N", "10",
             "deliveries in flight for one mailbox, more wait (Cyrus and Dovecot defer past 10); "
             "0: no limit",
             reader::number(s.mailbox_limit, 0, 1'000'000)),
       value("drain-timeout", "TIME", "60s",
             "after SIGTERM the messages under way have so long; then connections are cut",
             reader::duration(s.drain))});
}

}  // namespace

std::vector<Option> listener_option_table(ListenerOptions& s) {
  return under(
      "The listener",
      {value("listen-mode", "MODE", "0660", "of a unix socket", mode(s.mode)),
       value("listen-owner", "USER", "", "of a unix socket: USER, USER:GROUP or :GROUP",
             reader::text(s.owner)),
       value("clients", "LIST", "",
             "who may deliver: addresses, networks, uid:N, user:NAME, all (without it: over TCP "
             "only this machine, over a unix socket whom its mode lets in)",
             clients(s.clients)),
       value("trusted-clients", "LIST", "",
             "who of them may say IGNOREQUOTA and TRACE himself; none without it",
             clients(s.trusted)),
       value("offer-pipelining", "YES", "no",
             "offer PIPELINING to clients; no where Sendmail is one of them",
             reader::boolean(s.offers_pipelining))});
}

std::vector<Option> serve_option_table(ServeSettings& s) {
  Table table = under(
      "The daemon",
      {value("listen", "ADDRESS", "",
             "unix:PATH or inet:HOST[:PORT]; several with commas; more in sections [listener.NAME]",
             [&s](std::string_view list) { s.listen = parse_destinations(list); }),
       value("balance", "HOW", "order",
             "of several DESTs: order (the first that is well), weight, or least-used",
             reader::choice(s.balance, {{"order", Balance::kOrder},
                                        {"weight", Balance::kWeight},
                                        {"least-used", Balance::kLeastUsed}})),
       value("threads", "N", "1", "that serve clients; one does some thousand messages a second",
             reader::number(s.threads, 1, 256)),
       value("control", "PATH", kDefaultControl, "the socket that --status asks",
             reader::absolute_path(s.control)),
       value("metrics", "ADDRESS", "", "ADDRESS:PORT where Prometheus is answered; none without it",
             metrics_address(s.metrics)),
       argv_only(value("check", "", "",
                       "serve nothing, say whether the configuration, its keys and its "
                       "certificates are good",
                       reader::boolean(s.check))),
       argv_only(value("status", "", "", "show what the running daemon does",
                       reader::boolean(s.status)))});
  append(table, limit_options(s));
  return table;
}

}  // namespace lmtpq::mailer

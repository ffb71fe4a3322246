#include "mailer/settings/store_settings.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/ascii.h"
#include "common/options/option_table.h"

namespace lmtpq::mailer {
namespace {

std::string system_hostname() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data()
                                                                           : "localhost";
}

// The name is sent as it is, in the greeting and in LHLO.
Reader host_name(std::string& into) {
  return [&into](std::string_view name) {
    const bool good = name.size() <= 255 && std::all_of(name.begin(), name.end(), [](char c) {
                        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                               (c >= 'A' && c <= 'Z') ||
                               std::string_view("-._[]:").find(c) != std::string_view::npos;
                      });
    if (!good || name.empty()) {
      throw ConfigError("expected a host name or [address]");
    }
    into = name;
  };
}

Reader fingerprints(std::vector<std::string>& into) {
  return [&into](std::string_view text) {
    into.clear();
    each_word(text, [&](const std::string& word) {
      std::string digits = lower_case(word);
      digits.erase(0, digits.starts_with("sha256:") ? 7 : 0);
      digits.erase(std::remove(digits.begin(), digits.end(), ':'), digits.end());
      if (digits.size() != 64 || digits.find_first_not_of("0123456789abcdef") != digits.npos) {
        throw ConfigError("expected SHA-256 fingerprints of 64 hexadecimal digits");
      }
      into.push_back(std::move(digits));
    });
  };
}

Reader protocols(TlsSettings& tls) {
  return [&tls](std::string_view text) {
    const auto version = [](std::string_view word) {
      constexpr std::pair<std::string_view, int> kVersions[] = {
          {"TLSv1", kTls10}, {"TLSv1.1", kTls11}, {"TLSv1.2", kTls12}, {"TLSv1.3", kTls13}};
      for (const auto& [name, number] : kVersions) {
        if (same_word(word, name)) {
          return number;
        }
      }
      throw ConfigError(
          "expected the lowest version, such as TLSv1.2, or lowest and highest, such as "
          "TLSv1.2-TLSv1.3");
    };
    const std::size_t dash = text.find('-');
    const int least = version(text.substr(0, dash));
    const int most = dash == std::string_view::npos ? 0 : version(text.substr(dash + 1));
    if (most != 0 && most < least) {
      throw ConfigError("expected the lowest version before the highest");
    }
    tls.least_version = least;
    tls.most_version = most;
  };
}

Reader mechanisms(std::vector<std::string>& into) {
  return [&into](std::string_view text) {
    into.clear();
    each_word(text, [&](const std::string& word) {
      const std::string name = upper_case(word);
      if (name.size() > 20 ||
          name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != std::string::npos) {
        throw ConfigError("expected names of SASL mechanisms, such as SCRAM-SHA-256");
      }
      into.push_back(name);
    });
  };
}

Reader security(unsigned& into) {
  return [&into](std::string_view text) {
    constexpr std::pair<std::string_view, unsigned> kFlags[] = {
        {"noplaintext", kNoPlaintext},       {"noactive", kNoActive},
        {"nodictionary", kNoDictionary},     {"noanonymous", kNoAnonymous},
        {"forwardsecrecy", kForwardSecrecy}, {"mutual", kMutualAuth}};
    into = 0;
    each_word(text, [&](const std::string& word) {
      const auto* const flag = std::find_if(std::begin(kFlags), std::end(kFlags),
                                            [&](const auto& f) { return f.first == word; });
      if (flag == std::end(kFlags)) {
        throw ConfigError(
            "expected some of noplaintext, noactive, nodictionary, noanonymous, forwardsecrecy, "
            "mutual");
      }
      into |= flag->second;
    });
  };
}

OptionTable connection_options(StoreSettings& s) {
  return under(
      "The store",
      {value("hostname", "NAME", "",
             "our name in the greeting to clients and in LHLO; default: the system's host name",
             host_name(s.hostname)),
       value("proxy-protocol", "VERSION", "none",
             "begin each connection with a PROXY protocol header: none or v2 (for Cyrus lmtpd -H)",
             reader::choice(s.proxy_protocol,
                            {{"none", ProxyProtocol::kNone}, {"v2", ProxyProtocol::kV2}})),
       advanced(value("recipient-limit", "N", "1000",
                      "maximum number of recipients in one transaction with the store; more are "
                      "sent in further transactions",
                      reader::number(s.recipient_limit, 1, 50'000))),
       advanced(value("pipelining", "SWITCH", "yes",
                      "send several commands at once to stores that offer PIPELINING: yes or no",
                      reader::boolean(s.pipelining)))});
}

OptionTable tls_options(TlsSettings& t) {
  return under(
      "TLS to the store",
      {value("tls", "LEVEL", "may",
             "none: never; may: if the store offers it, over TCP; encrypt: always; verify: always, "
             "with a certificate that a trusted CA signed for the store's name; fingerprint: "
             "always, with a certificate or key of --tls-fingerprint",
             reader::choice(t.level, {{"none", TlsLevel::kNone},
                                      {"may", TlsLevel::kMay},
                                      {"encrypt", TlsLevel::kEncrypt},
                                      {"verify", TlsLevel::kVerify},
                                      {"fingerprint", TlsLevel::kFingerprint}})),
       value(
           "tls-wrapper", "SWITCH", "no",
           "begin TLS right after connecting, without STARTTLS: yes or no; with yes, --tls=may is "
           "as encrypt",
           reader::boolean(t.wrapper)),
       value("tls-ca-file", "FILE", "", "trusted CA certificates (PEM); default: the system's",
             reader::absolute_path(t.ca_file)),
       value("tls-ca-path", "DIR", "",
             "folder of trusted CA certificates, prepared by openssl rehash",
             reader::absolute_path(t.ca_path)),
       value("tls-crl-file", "FILE", "",
             "certificate revocation lists (PEM), one for every CA of the chain",
             reader::absolute_path(t.crl_file)),
       value("tls-cert", "FILE", "", "our certificate with its intermediates (PEM)",
             reader::absolute_path(t.certificate_file)),
       value("tls-key", "FILE", "", "private key (PEM, mode 0600); default: in --tls-cert's file",
             reader::absolute_path(t.key_file)),
       value("tls-name", "NAME", "",
             "name that the store's certificate must have; default: the host of DEST",
             host_name(t.name)),
       value("tls-fingerprint", "LIST", "",
             "SHA-256 fingerprints of the store's certificate or public key, for "
             "--tls=fingerprint",
             fingerprints(t.fingerprints)),
       value("tls-protocols", "RANGE", "TLSv1.2", "lowest TLS version, or LOWEST-HIGHEST",
             protocols(t)),
       advanced(value("tls-ciphers", "LIST", "",
                      "OpenSSL cipher list for TLS 1.2 and older; default: OpenSSL's",
                      reader::text(t.ciphers)))});
}

OptionTable auth_options(AuthSettings& a) {
  return under(
      "Login at the store",
      {value("auth-user", "USER", "",
             "log in as this user; default: the user in --auth-password-file",
             reader::text(a.user)),
       value("auth-password-file", "FILE", "", "lines of DEST user:password (mode 0600)",
             reader::absolute_path(a.password_file)),
       value("auth-mechanisms", "LIST", "",
             "allowed SASL mechanisms; default: all that the installed plugins have",
             mechanisms(a.mechanisms)),
       value("auth-security", "LIST", "noanonymous",
             "required mechanism properties: noplaintext, noactive, nodictionary, noanonymous, "
             "forwardsecrecy, mutual",
             security(a.security)),
       value("auth-plaintext", "WHEN", "tls",
             "when PLAIN and LOGIN may send the password: never, tls (within TLS or over a unix "
             "socket), always",
             reader::choice(a.plaintext, {{"never", AuthPlaintext::kNever},
                                          {"tls", AuthPlaintext::kTls},
                                          {"always", AuthPlaintext::kAlways}})),
       advanced(value(
           "auth-channel-binding", "TYPE", "tls-unique",
           "channel binding of SCRAM-...-PLUS: tls-unique (as Cyrus needs it), "
           "tls-exporter, tls-server-end-point or none",
           reader::choice(a.channel_binding, {{"tls-unique", "tls-unique"},
                                              {"tls-exporter", "tls-exporter"},
                                              {"tls-server-end-point", "tls-server-end-point"},
                                              {"none", "none"}})))});
}

OptionTable time_options(StoreSettings& s) {
  StoreTimeouts& t = s.timeouts;
  return under(
      kTimeHeading,
      {value("connect-timeout", "TIME", "30s",
             "time limit for connecting to each address of a store",
             reader::positive_duration(t.connect)),
       value("lhlo-timeout", "TIME", "5m", "time limit for the greeting and for the reply to LHLO",
             reader::positive_duration(t.lhlo)),
       value("starttls-timeout", "TIME", "5m",
             "time limit for the reply to STARTTLS and for the TLS handshake",
             reader::positive_duration(t.starttls)),
       value("auth-timeout", "TIME", "5m", "time limit for each reply during the login",
             reader::positive_duration(t.auth)),
       value("mail-timeout", "TIME", "5m", "time limit for the reply to MAIL",
             reader::positive_duration(t.mail)),
       value("rcpt-timeout", "TIME", "5m", "time limit for the reply to each RCPT",
             reader::positive_duration(t.rcpt)),
       value("data-init-timeout", "TIME", "2m", "time limit for the reply to DATA",
             reader::positive_duration(t.data_init)),
       value("data-xfer-timeout", "TIME", "3m",
             "time limit without progress while the message is sent",
             reader::positive_duration(t.data_xfer)),
       value("data-done-timeout", "TIME", "10m", "time limit for each reply after end of data",
             reader::positive_duration(t.data_done)),
       advanced(value("rset-timeout", "TIME", "20s", "time limit for the replies to RSET and TRACE",
                      reader::positive_duration(t.rset))),
       advanced(value("quit-timeout", "TIME", "0s",
                      "time limit for the reply to QUIT; 0s: do not wait",
                      reader::duration(t.quit))),
       advanced(value("min-data-rate", "BYTES", "500",
                      "minimum speed of a message transfer, from a client or to a store, in bytes "
                      "per second",
                      reader::number(s.min_data_rate, 1, 1'000'000'000)))});
}

}  // namespace

OptionTable pool_option_table(PoolSettings& s) {
  return under(
      "The connections to a store",
      {value("connections", "N", "20", "maximum number of connections to one store",
             reader::number(s.connections, 1, 100'000)),
       value("connection-uses", "N", "1000",
             "close a connection after this many messages; 0: no limit",
             reader::number(s.uses, 0, 1'000'000'000)),
       value("connection-lifetime", "TIME", "10m",
             "close a connection after this time, give or take a tenth; 0: no limit",
             reader::duration(s.lifetime)),
       value("wait-timeout", "TIME", "5m",
             "time limit for the wait for a free connection, and for a mailbox (mailbox-limit)",
             reader::positive_duration(s.wait)),
       value("recipient-delimiter", "CHARS", "+",
             "where the detail of user+detail begins: it counts as user for mailbox-limit; empty: "
             "no address has a detail",
             reader::text(s.recipient_delimiter)),
       value("dial-backoff", "TIME", "1s",
             "initial delay before reconnecting to a store that is down; doubles each time",
             reader::duration(s.backoff)),
       advanced(value("dial-backoff-limit", "TIME", "30s",
                      "maximum delay before reconnecting to a store that is down",
                      reader::positive_duration(s.max_backoff))),
       value("weight", "N", "1",
             "share of this store among several, for --balance=weight and least-used",
             reader::number(s.weight, 1, 1000))});
}

Option over_quota_option(OverQuotaPolicy& policy) {
  return value("over-quota", "POLICY", "store",
               "answer when a mailbox is over quota: store (the store's reply), defer (452), "
               "defer:AGE (452, and 552 for a message of that age), refuse (552)",
               [&policy](std::string_view text) { policy = OverQuotaPolicy::parse(text); });
}

OptionTable store_option_table(StoreSettings& settings) {
  settings.hostname = system_hostname();
  OptionTable table = under("Messages", {over_quota_option(settings.over_quota)});
  append(table, connection_options(settings));
  append(table, tls_options(settings.tls));
  append(table, auth_options(settings.auth));
  append(table, time_options(settings));
  return table;
}

bool same_options(const Store& one, const Store& other) {
  return one.destination.text == other.destination.text &&
         (!one.destination.follows_lmtp_port() ||
          one.destination.lmtp_port == other.destination.lmtp_port) &&
         one.effective == other.effective;
}

bool same_store(const Store& one, const Store& other) {
  return same_options(one, other) && one.login.user == other.login.user &&
         same_secret(one.login.password.text(), other.login.password.text()) &&
         same_secret(one.settings.tls.key.text(), other.settings.tls.key.text());
}

void check(const Store& store) {
  const TlsSettings& tls = store.settings.tls;
  const std::string& name = store.destination.text;
  const auto refuse = [&](const char* option, const std::string& why) {
    throw ConfigError(store.settings.places.of(option) + ": " + why);
  };
  if (tls.level == TlsLevel::kFingerprint && tls.fingerprints.empty()) {
    refuse("tls", "\"fingerprint\": " + name + " has no tls-fingerprint; lmtpq probe prints it");
  }
  if (tls.level == TlsLevel::kVerify && tls.name.empty() &&
      store.destination.family == Destination::Family::kUnix) {
    refuse("tls", "\"verify\": " + name + " has no host name to verify; set tls-name");
  }
  if (tls.level != TlsLevel::kFingerprint && !tls.fingerprints.empty()) {
    refuse("tls-fingerprint", "not used by " + name +
                                  " with tls = " + kTlsLevelNames[static_cast<int>(tls.level)] +
                                  "; set tls = fingerprint");
  }
  if (tls.wrapper && tls.level == TlsLevel::kNone) {
    refuse("tls-wrapper", "\"yes\": " + name +
                              " has tls = none; set tls to encrypt or higher, or tls-wrapper = no");
  }
  // The value is not shown: it may contain a password after the colon.
  if (store.settings.auth.user.find(':') != std::string::npos) {
    refuse("auth-user",
           "expected a name without a colon; put the password into auth-password-file");
  }
  if (!tls.key_file.empty() && tls.certificate_file.empty()) {
    refuse("tls-key", '"' + tls.key_file + "\": " + name +
                          " has no tls-cert; set it to the "
                          "certificate of this key");
  }
}

}  // namespace lmtpq::mailer

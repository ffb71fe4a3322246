// The option table of StoreSettings.

#include "mailer/settings/store_settings.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/ascii.h"
#include "common/config/option_table.h"

namespace lmtpq::mailer {
namespace {

std::string mapped(std::string text, char (*change)(char)) {
  std::transform(text.begin(), text.end(), text.begin(), change);
  return text;
}

std::string own_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data()
                                                                           : "localhost";
}

// It goes into the greeting and LHLO as it is.
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
    for (const std::string& word : list_of(text)) {
      std::string digits = mapped(word, ascii_lower);
      digits.erase(0, digits.starts_with("sha256:") ? 7 : 0);
      digits.erase(std::remove(digits.begin(), digits.end(), ':'), digits.end());
      if (digits.size() != 64 || digits.find_first_not_of("0123456789abcdef") != digits.npos) {
        throw ConfigError("expected SHA-256 fingerprints of 64 hexadecimal digits");
      }
      into.push_back(std::move(digits));
    }
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
      throw ConfigError("expected TLSv1.2, the least version, or TLSv1.2-TLSv1.3, least and most");
    };
    const std::size_t dash = text.find('-');
    const int least = version(text.substr(0, dash));
    const int most = dash == std::string_view::npos ? 0 : version(text.substr(dash + 1));
    if (most != 0 && most < least) {
      throw ConfigError("expected the least version before the most");
    }
    tls.least_version = least;
    tls.most_version = most;
  };
}

Reader mechanisms(std::vector<std::string>& into) {
  return [&into](std::string_view text) {
    into.clear();
    for (const std::string& word : list_of(text)) {
      const std::string name = mapped(word, ascii_upper);
      if (name.size() > 20 ||
          name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != std::string::npos) {
        throw ConfigError("expected names of SASL mechanisms, such as SCRAM-SHA-256");
      }
      into.push_back(name);
    }
  };
}

Reader security(unsigned& into) {
  return [&into](std::string_view text) {
    constexpr std::pair<std::string_view, unsigned> kFlags[] = {
        {"noplaintext", kNoPlaintext},       {"noactive", kNoActive},
        {"nodictionary", kNoDictionary},     {"noanonymous", kNoAnonymous},
        {"forwardsecrecy", kForwardSecrecy}, {"mutual", kMutualAuth}};
    into = 0;
    for (const std::string& word : list_of(text)) {
      const auto* const flag = std::find_if(std::begin(kFlags), std::end(kFlags),
                                            [&](const auto& f) { return f.first == word; });
      if (flag == std::end(kFlags)) {
        throw ConfigError(
            "expected words out of noplaintext, noactive, nodictionary, noanonymous, "
            "forwardsecrecy, mutual");
      }
      into |= flag->second;
    }
  };
}

Table connection_options(StoreSettings& s) {
  return under(
      "The store",
      {value("pipelining", "SWITCH", "yes", "send commands in one flight to a store that offers it",
             reader::boolean(s.pipelining)),
       value("chunking", "SWITCH", "yes",
             "send messages by BDAT to a store that offers it, small ones in one flight",
             reader::boolean(s.chunking)),
       value("hostname", "NAME", "", "our name in the greeting and in LHLO; default: the system's",
             host_name(s.hostname)),
       value("recipient-limit", "N", "1000",
             "recipients in one transaction with the store; more take several",
             reader::number(s.recipient_limit, 1, 50'000)),
       value("proxy-protocol", "VERSION", "none",
             "begin each connection with a PROXY header: none or v2 (Cyrus: lmtpd -H)",
             reader::choice(s.proxy_protocol,
                            {{"none", ProxyProtocol::kNone}, {"v2", ProxyProtocol::kV2}}))});
}

Table tls_options(TlsSettings& t) {
  return under(
      "TLS to the store",
      {value("tls", "LEVEL", "may",
             "none; may: where a store offers it over TCP; encrypt: always; verify: with a "
             "certificate of a known CA for the store's name; fingerprint: with a certificate or "
             "key that is named",
             reader::choice(t.level, {{"none", TlsLevel::kNone},
                                      {"may", TlsLevel::kMay},
                                      {"encrypt", TlsLevel::kEncrypt},
                                      {"verify", TlsLevel::kVerify},
                                      {"fingerprint", TlsLevel::kFingerprint}})),
       value("tls-ca-file", "FILE", "", "CAs to believe, PEM; default: the system's",
             reader::absolute_path(t.ca_file)),
       value("tls-ca-path", "DIR", "", "the same, a folder made by openssl rehash",
             reader::absolute_path(t.ca_path)),
       value("tls-crl-file", "FILE", "",
             "revocation lists, PEM; every CA of the chain must have one in it",
             reader::absolute_path(t.crl_file)),
       value("tls-cert", "FILE", "", "our certificate, with its intermediates, PEM",
             reader::absolute_path(t.certificate_file)),
       value("tls-key", "FILE", "", "its key, PEM, closed to others; default: in --tls-cert's file",
             reader::absolute_path(t.key_file)),
       value("tls-name", "NAME", "",
             "the name that the store's certificate must have; default: the host of DEST",
             host_name(t.name)),
       value("tls-fingerprint", "LIST", "",
             "SHA-256 of the store's certificate or public key, for --tls=fingerprint",
             fingerprints(t.fingerprints)),
       value("tls-protocols", "RANGE", "TLSv1.2", "the least version, or LEAST-MOST", protocols(t)),
       value("tls-ciphers", "LIST", "", "OpenSSL's cipher list for TLS 1.2 and older",
             reader::text(t.ciphers))});
}

Table auth_options(AuthSettings& a) {
  return under(
      "Login at the store",
      {value("auth-user", "USER", "", "log in as this user; default: the password file's",
             reader::text(a.user)),
       value("auth-password-file", "FILE", "", "lines of DEST user:password, closed to others",
             reader::absolute_path(a.password_file)),
       value("auth-mechanisms", "LIST", "",
             "the SASL mechanisms to choose from; default: all that the store offers",
             mechanisms(a.mechanisms)),
       value("auth-security", "LIST", "noanonymous",
             "what a mechanism must be: noplaintext, noactive, nodictionary, noanonymous, "
             "forwardsecrecy, mutual",
             security(a.security)),
       value("auth-plaintext", "WHEN", "tls",
             "where PLAIN and LOGIN may send the password: never, tls (or a unix socket), always",
             reader::choice(a.plaintext, {{"never", AuthPlaintext::kNever},
                                          {"tls", AuthPlaintext::kTls},
                                          {"always", AuthPlaintext::kAlways}})),
       value("auth-channel-binding", "TYPE", "tls-unique",
             "what SCRAM-...-PLUS binds the login to: tls-unique (as Cyrus does), tls-exporter, "
             "tls-server-end-point or none",
             reader::choice(a.channel_binding, {{"tls-unique", "tls-unique"},
                                                {"tls-exporter", "tls-exporter"},
                                                {"tls-server-end-point", "tls-server-end-point"},
                                                {"none", "none"}}))});
}

Table time_options(StoreSettings& s) {
  StoreTimeouts& t = s.timeouts;
  return under(
      "Time (a number and s, m, h, d or w)",
      {value("connect-timeout", "TIME", "30s", "to connect, for each address",
             reader::positive_duration(t.connect)),
       value("lhlo-timeout", "TIME", "5m", "for the greeting and for LHLO",
             reader::positive_duration(t.lhlo)),
       value("starttls-timeout", "TIME", "5m", "for the reply to STARTTLS, and for the handshake",
             reader::positive_duration(t.starttls)),
       value("auth-timeout", "TIME", "5m", "for each reply within AUTH",
             reader::positive_duration(t.auth)),
       value("mail-timeout", "TIME", "5m", "for the reply to MAIL",
             reader::positive_duration(t.mail)),
       value("rcpt-timeout", "TIME", "5m", "for the reply to each RCPT",
             reader::positive_duration(t.rcpt)),
       value("data-init-timeout", "TIME", "2m", "for the reply to DATA",
             reader::positive_duration(t.data_init)),
       value("data-xfer-timeout", "TIME", "3m", "without progress while the message is sent",
             reader::positive_duration(t.data_xfer)),
       value("data-done-timeout", "TIME", "10m", "for each reply to the end of data",
             reader::positive_duration(t.data_done)),
       value("rset-timeout", "TIME", "20s", "for the reply to RSET and TRACE",
             reader::positive_duration(t.rset)),
       value("quit-timeout", "TIME", "0s", "for the reply to QUIT; 0s: it is not waited for",
             reader::duration(t.quit)),
       value("min-data-rate", "BYTES", "500", "bytes a second that a transfer makes at least",
             reader::number(s.min_data_rate, 1, 1'000'000'000))});
}

}  // namespace

std::vector<Option> pool_option_table(PoolSettings& s) {
  return under(
      "The pool of connections to a store",
      {value("connections", "N", "20", "at once to one store",
             reader::number(s.connections, 1, 100'000)),
       value("connection-uses", "N", "1000", "messages on one connection; 0: no limit",
             reader::number(s.uses, 0, 1'000'000'000)),
       value("connection-lifetime", "TIME", "10m",
             "of one connection, give or take a tenth; 0: no limit", reader::duration(s.lifetime)),
       value("wait-timeout", "TIME", "5m", "for a connection to come free",
             reader::positive_duration(s.wait)),
       value("dial-backoff", "TIME", "1s",
             "a store that could not be reached is left alone so long, then twice as long",
             reader::duration(s.backoff)),
       value("dial-backoff-limit", "TIME", "30s", "the most that --dial-backoff grows to",
             reader::positive_duration(s.most_backoff)),
       value("weight", "N", "1", "among several DESTs, for --balance=weight and least-used",
             reader::number(s.weight, 1, 1000))});
}

std::vector<Option> store_option_table(StoreSettings& settings) {
  settings.hostname = own_name();
  Table table;
  append(table, connection_options(settings));
  append(table, tls_options(settings.tls));
  append(table, auth_options(settings.auth));
  append(table, time_options(settings));
  return table;
}

}  // namespace lmtpq::mailer

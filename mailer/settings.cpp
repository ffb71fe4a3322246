#include "settings.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <type_traits>
#include <utility>

namespace lmtpq {
namespace {

using Reader = std::function<void(std::string_view)>;

Reader text(std::string& into) {
  return [&into](std::string_view value) { into = value; };
}

Reader duration(Timeouts::Time& into) {
  return [&into](std::string_view value) { into = parse_duration(value); };
}

// No time at all would defer all mail: a slip, not a wish.
Reader positive_duration(Timeouts::Time& into) {
  return [&into](std::string_view value) {
    into = parse_duration(value);
    if (into == into.zero()) {
      throw ConfigError("expected more than 0s");
    }
  };
}

Reader boolean(bool& into) {
  return [&into](std::string_view value) { into = parse_switch(value); };
}

template <typename Number>
Reader number(Number& into, std::uint64_t least, std::uint64_t most) {
  return [&into, least, most](std::string_view value) {
    const std::uint64_t read = parse_size(value);
    if (read < least || read > most) {
      throw ConfigError("expected " + std::to_string(least) + " to " + std::to_string(most));
    }
    into = static_cast<Number>(read);
  };
}

template <typename Choice>
using Words = std::vector<std::pair<std::string_view, Choice>>;

template <typename Choice>
Reader choice(Choice& into, std::type_identity_t<Words<Choice>> known) {
  return [&into, known](std::string_view value) {
    std::string expected;
    for (const auto& [word, meaning] : known) {
      if (word == value) {
        into = meaning;
        return;
      }
      expected += (expected.empty() ? "" : ", ") + std::string(word);
    }
    throw ConfigError("expected one of " + expected);
  };
}

// Words between commas or spaces.
std::vector<std::string> words(std::string_view list) {
  std::vector<std::string> made;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find_first_of(", "), list.size());
    if (end > 0) {
      made.emplace_back(list.substr(0, end));
    }
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return made;
}

std::string own_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data()
                                                                           : "localhost";
}

Reader destinations(std::vector<Destination>& into) {
  return [&into](std::string_view value) {
    into.clear();
    for (const std::string& word : words(value)) {
      into.push_back(parse_destination(word));
    }
  };
}

Reader trace_id(TraceId& into) {
  return [&into](std::string_view value) {
    const auto parsed = TraceId::parse(value);
    if (!parsed) {
      throw ConfigError("expected 1 to 255 of the characters A-Z a-z 0-9 - _ .");
    }
    into = *parsed;
  };
}

// A relative path would end in Sendmail's queue directory.
Reader log_place(std::string& into) {
  return [&into](std::string_view place) {
    if (place != "syslog" && place != "stderr" && !place.starts_with('/')) {
      throw ConfigError("expected syslog, stderr or a path that begins with /");
    }
    into = place;
  };
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

Option value(const char* name, const char* argument, const char* fallback, const char* help,
             Reader read) {
  Option made;
  made.name = name;
  made.argument = argument;
  made.fallback = fallback;
  made.help = help;
  made.read = std::move(read);
  return made;
}

Option with_letter(char letter, Option option) {
  option.letter = letter;
  return option;
}

Option argv_only(Option option) {
  option.in_file = false;
  return option;
}

Option bare_means(const char* implicit, Option option) {
  option.implicit = implicit;
  return option;
}

using Table = std::vector<Option>;

Table under(const char* heading, Table options) {
  for (Option& option : options) {
    option.heading = heading;
  }
  return options;
}

Table delivery_options(Settings& s) {
  return under(
      "What is delivered",
      {bare_means(
           "always",
           with_letter('Q', value("ignore-quota", "WHO", "tagged",
                                  "whose mail is filed although the mailbox is over quota: "
                                  "always, tagged or never",
                                  choice(s.ignore_quota, {{"always", IgnoreQuota::kAlways},
                                                          {"tagged", IgnoreQuota::kTagged},
                                                          {"never", IgnoreQuota::kNever}})))),
       with_letter('t', value("trace-id", "ID", "", "send this trace id with every message",
                              trace_id(s.trace_id))),
       value("trace", "SOURCE", "tag",
             "where a message's trace id comes from: tag (else its queue id), queue-id, off",
             choice(s.trace, {{"tag", TraceSource::kTag},
                              {"queue-id", TraceSource::kQueueId},
                              {"off", TraceSource::kOff}})),
       value("utf8-headers", "POLICY", "allow",
             "mail with UTF-8 in its header only, to a store without SMTPUTF8: allow or refuse",
             choice(s.utf8_headers,
                    {{"allow", Utf8Headers::kAllow}, {"refuse", Utf8Headers::kRefuse}})),
       value("max-message-size", "SIZE", "",
             "refuse a larger message (552 5.3.4); 0: none is too large",
             [&s](std::string_view size) {
               const std::uint64_t bytes = parse_size(size);
               s.max_message_size = bytes > 0 ? std::optional(bytes) : std::nullopt;
             }),
       value("max-rcpts", "N", "1000", "recipients taken in one transaction",
             number(s.max_rcpts, 1, 50'000)),
       value("line-limit", "BYTES", "998", "break longer lines, with CRLF and a space",
             number(s.line_limit, 72, 1'000'000))});
}

Table store_options(Settings& s) {
  return under(
      "The store",
      {with_letter('d', value("destination", "DEST", "",
                              "unix:PATH or inet:HOST[:PORT]; several, in order, with commas",
                              destinations(s.destinations))),
       value("pipelining", "SWITCH", "yes", "send commands in one flight to a store that offers it",
             boolean(s.pipelining)),
       value("hostname", "NAME", "", "our name in the greeting and in LHLO; default: the system's",
             host_name(s.hostname))});
}

Table time_options(Timeouts& t, Settings& s) {
  return under(
      "Time (a number and s, m, h, d or w)",
      {value("connect-timeout", "TIME", "30s", "to connect, for each address",
             positive_duration(t.connect)),
       value("lhlo-timeout", "TIME", "5m", "for the greeting and for LHLO",
             positive_duration(t.lhlo)),
       value("mail-timeout", "TIME", "5m", "for the reply to MAIL", positive_duration(t.mail)),
       value("rcpt-timeout", "TIME", "5m", "for the reply to each RCPT", positive_duration(t.rcpt)),
       value("data-init-timeout", "TIME", "2m", "for the reply to DATA",
             positive_duration(t.data_init)),
       value("data-xfer-timeout", "TIME", "3m", "without progress while the message is sent",
             positive_duration(t.data_xfer)),
       value("data-done-timeout", "TIME", "10m", "for each reply to the end of data",
             positive_duration(t.data_done)),
       value("rset-timeout", "TIME", "20s", "for the reply to RSET and TRACE",
             positive_duration(t.rset)),
       value("quit-timeout", "TIME", "0s", "for the reply to QUIT; 0s: it is not waited for",
             duration(t.quit)),
       value("idle-timeout", "TIME", "60s", "an unused connection to the store is kept so long",
             duration(t.idle)),
       value("input-timeout", "TIME", "10m", "for the client, or standard input, to go on",
             positive_duration(t.input)),
       value("mta-timeout", "TIME", "1h",
             "what the client waits behind its dot (Sendmail's Timeout.datafinal); no message is "
             "sent to the store when its answer could come too late",
             positive_duration(t.mta)),
       value("min-data-rate", "BYTES", "500", "bytes a second that a transfer makes at least",
             number(s.min_data_rate, 1, 1'000'000'000))});
}

Table process_options(Settings& s) {
  return under(
      "The process",
      {argv_only(value("config", "FILE", kDefaultConfigFile,
                       "read these options from FILE; what the command line says counts more",
                       [](std::string_view) {})),
       value("user", "USER", "", "become this user, with its groups, before any mail is read",
             text(s.user)),
       value("spool-dir", "DIR", "/var/tmp", "where messages over 256 KiB wait, in unlinked files",
             text(s.spool_dir)),
       value("log", "WHERE", "syslog", "syslog, stderr or the path of a file", log_place(s.log)),
       value("log-level", "LEVEL", "info", "error, warning, info or debug",
             [&s](std::string_view level) { s.log_level = parse_log_level(level); }),
       value("debug-peer", "LIST", "",
             "log the dialogue with these destinations (words out of their names, or all)",
             [&s](std::string_view list) { s.debug_peers = words(list); }),
       value("transcript-dir", "DIR", "",
             "write the dialogue with the store into a file there, one a connection",
             text(s.transcript_dir))});
}

void append(Table& table, Table more) {
  table.insert(table.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
}

}  // namespace

std::vector<Option> option_table(Command command, Settings& settings) {
  settings.hostname = own_name();
  Table table;
  if (command == Command::kDeliver) {
    append(table, under("The envelope",
                        {argv_only(with_letter('f', value("sender", "ADDRESS", "",
                                                          "the envelope's sender; '' or '<>' for "
                                                          "none",
                                                          text(settings.sender))))}));
  }
  if (command == Command::kProbe) {
    append(table, under("What is asked",
                        {argv_only(value("rcpt", "ADDRESS", "",
                                         "ask whether this mailbox exists and is over quota",
                                         text(settings.probe_recipient))),
                         argv_only(value("json", "", "", "print JSON", boolean(settings.json)))}));
  }
  append(table, delivery_options(settings));
  append(table, store_options(settings));
  append(table, time_options(settings.timeouts, settings));
  append(table, process_options(settings));
  return table;
}

}  // namespace lmtpq

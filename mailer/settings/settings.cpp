#include "mailer/settings/settings.h"

#include "common/ascii.h"
#include "common/options/option_table.h"
#include "mailer/settings/destination_sections.h"

namespace lmtpq::mailer {
namespace {

Reader destinations(std::vector<Destination>& into) {
  return [&into](std::string_view list) { into = parse_destinations(list); };
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

OptionTable delivery_options(Settings& s) {
  return under(
      "Messages",
      {bare_means(
           "always",
           with_letter('Q',
                       value("ignore-quota", "WHO", "tagged",
                             "deliver although the mailbox is over quota: always, tagged "
                             "(if a valid tag of lmtpq-milter allows it), retry (always, but "
                             "only after the store has refused it), never",
                             reader::choice(s.ignore_quota, {{"always", IgnoreQuota::kAlways},
                                                             {"tagged", IgnoreQuota::kTagged},
                                                             {"retry", IgnoreQuota::kRetry},
                                                             {"never", IgnoreQuota::kNever}})))),
       over_quota_option(s.store_defaults.over_quota),
       with_letter('t', value("trace-id", "ID", "", "send this trace id with every message",
                              trace_id(s.trace_id))),
       value("tag-keys", "FILE", "",
             "keys that verify the tags of lmtpq-milter, or none: no tag is valid; default: "
             "/etc/lmtpq/tag.keys, if it exists",
             reader::text(s.tag_keys)),
       value("trace", "SOURCE", "tag",
             "source of a message's trace id: tag (its queue id, if there is no valid tag), "
             "queue-id, off",
             reader::choice(s.trace, {{"tag", TraceSource::kTag},
                                      {"queue-id", TraceSource::kQueueId},
                                      {"off", TraceSource::kOff}})),
       value(
           "max-message-size", "SIZE", "",
           "refuse larger messages, a number of bytes with k, M or G, with 552 5.3.4; default: 0, "
           "no limit",
           [&s](std::string_view size) {
             const std::uint64_t bytes = parse_size(size);
             s.max_message_size = bytes > 0 ? std::optional(bytes) : std::nullopt;
           }),
       value("max-rcpts", "N", "1000",
             "maximum number of recipients in one transaction with the client",
             reader::number(s.max_rcpts, 1, 50'000)),
       advanced(value("utf8-headers", "POLICY", "allow",
                      "mail declared as SMTPUTF8 with ASCII addresses, for a store without "
                      "SMTPUTF8: allow, or refuse if its header contains UTF-8",
                      reader::choice(s.utf8_headers, {{"allow", Utf8Headers::kAllow},
                                                      {"refuse", Utf8Headers::kRefuse}}))),
       advanced(value("nul", "POLICY", "pass",
                      "NUL bytes in a message: pass (the store decides), strip (remove them), "
                      "refuse (the message, with 554 5.6.0)",
                      reader::choice(s.nul, {{"pass", NulPolicy::kPass},
                                             {"strip", NulPolicy::kStrip},
                                             {"refuse", NulPolicy::kRefuse}}))),
       advanced(value("line-limit", "BYTES", "8000",
                      "break lines longer than this, before a blank if there is one; 998 to 8000, "
                      "since stores read lines through buffers of 8 KiB",
                      reader::number(s.line_limit, 998, 8000)))});
}

OptionTable destination_options(Settings& s) {
  return under("The store",
               {with_letter('d', value("destination", "DEST", "",
                                       "deliver to unix:PATH, inet:HOST[:PORT] or, by ESMTP, "
                                       "smtp:HOST[:PORT]; several with commas, tried in order",
                                       destinations(s.destinations)))});
}

OptionTable port_options(Settings& s) {
  return under("The store", {value("tcp-port", "PORT", "24",
                                   "port of inet:HOST without one, on systems whose services(5) "
                                   "does not have the service lmtp",
                                   reader::number(s.tcp_port, 1, 65'535))});
}

OptionTable time_options(Timeouts& t) {
  return under(
      kTimeHeading,
      {value("idle-timeout", "TIME", "60s",
             "close a store connection after this long without use; 0s: keep none",
             reader::duration(t.idle)),
       value("input-timeout", "TIME", "10m",
             "time limit for the client, or standard input, to send more",
             reader::positive_duration(t.input)),
       value("mta-timeout", "TIME", "1h",
             "how long the client waits for our reply after end of data (Sendmail's "
             "Timeout.datafinal); a message whose reply could come later is not sent to the store",
             reader::positive_duration(t.mta))});
}

OptionTable process_options(Settings& s) {
  return under(
      "The process",
      {argv_only(value("config", "FILE", kDefaultConfigFile,
                       "read options from this file; the command line overrides it",
                       [](std::string_view) {})),
       value("user", "USER", "", "switch to this user and its groups before any mail is read",
             reader::text(s.user)),
       value("spool-dir", "DIR", "/var/tmp",
             "folder for messages over 256 KiB, which are stored in unlinked files",
             reader::text(s.spool_dir)),
       value("log", "WHERE", "syslog", "syslog, stderr or the path of a file",
             reader::log_place(s.log)),
       value("log-level", "LEVEL", "info", "error, warning, info or debug",
             [&s](std::string_view level) { s.log_level = parse_log_level(level); }),
       value("debug-peer", "LIST", "",
             "log the dialogue with stores whose address contains one of these words; all: with "
             "every store",
             [&s](std::string_view list) { s.debug_peers = list_of(list); }),
       value("transcript-dir", "DIR", "",
             "write the dialogue with the store to files in this folder, one for each connection",
             reader::text(s.transcript_dir))});
}

OptionTable deliver_options(Settings& s) {
  return under("The envelope",
               {argv_only(with_letter('f', value("sender", "ADDRESS", "",
                                                 "envelope sender; '' or '<>' for the null sender",
                                                 reader::text(s.sender))))});
}

OptionTable json_options(Settings& s, const char* heading, const char* help) {
  return under(heading, {argv_only(value("json", "", "", help, reader::boolean(s.json)))});
}

Reader keywords(std::vector<std::string>& into) {
  return [&into](std::string_view list) { into = list_of(upper_case(list)); };
}

OptionTable probe_options(Settings& s) {
  constexpr std::uint64_t kMostDays = 36'500;
  OptionTable table = under(
      "The probe",
      {argv_only(value("rcpt", "ADDRESS", "",
                       "also check whether this mailbox exists and is over quota",
                       reader::text(s.probe.recipient))),
       argv_only(value("timeout", "TIME", "10s",
                       "time limit for all of the probe; exit status 69 when it has passed",
                       reader::positive_duration(s.probe.timeout))),
       argv_only(value("require", "LIST", "",
                       "extensions that the store must offer, such as IGNOREQUOTA,TRACE; a missing "
                       "one is a failure",
                       keywords(s.probe.required))),
       argv_only(value("monitor", "", "",
                       "print one line in the form of Nagios plugins, with their exit statuses",
                       reader::boolean(s.probe.monitor))),
       argv_only(value("warn-days", "N", "14",
                       "with --monitor: WARNING if the certificate expires in less than N days",
                       reader::number(s.probe.warn_days, 0, kMostDays))),
       argv_only(value("critical-days", "N", "3",
                       "with --monitor: CRITICAL if the certificate expires in less than N days",
                       reader::number(s.probe.critical_days, 0, kMostDays)))});
  append(table, json_options(s, "The probe", "print JSON"));
  return table;
}

OptionTable serve_options(Settings& s) {
  OptionTable table = serve_option_table(s.serve);
  append(table, json_options(s, "The daemon", "with --status: print JSON"));
  append(table, listener_option_table(s.serve.listener));
  append(table, pool_option_table(s.store_defaults.pool));
  append(table, route_option_table(s.routes));
  return table;
}

// A probe sends no message. The options for messages are accepted, for command lines that are
// copied from another command.
void hide_unused_by_probe(OptionTable& table, Settings& settings) {
  OptionTable unused = delivery_options(settings);
  append(unused, time_options(settings.timeouts));
  for (Option& option : table) {
    option.hidden = option.name == "spool-dir" ||
                    (option.name != "trace-id" && find_option(unused, option.name) != nullptr);
  }
}

void append_new(OptionTable& table, OptionTable more) {
  std::erase_if(more, [&](const Option& option) { return find_option(table, option.name); });
  append(table, std::move(more));
}

std::vector<std::string> names_of(const OptionTable& table, const char* first) {
  std::vector<std::string> names = {first};
  for (const Option& option : table) {
    names.push_back(option.name);
  }
  return names;
}

std::vector<SectionKind> section_kinds(Settings& settings) {
  const auto of_stores = [&settings] {
    OptionTable table = store_option_table(settings.store_defaults);
    append(table, pool_option_table(settings.store_defaults.pool));
    return names_of(table, "destination");
  };
  const auto of_listeners = [&settings] { return names_of(listener_table(settings), "address"); };
  return {{kDestinationPrefix, of_stores}, {kListenerPrefix, of_listeners}};
}

std::string help_of(Command command) {
  constexpr const char* kNames[] = {"relay", "deliver", "probe", "serve"};
  return std::string("lmtpq ") + kNames[static_cast<int>(command)] + " --help";
}

// Ten for each command.
std::vector<std::string_view> usual_options(Command command) {
  switch (command) {
    case Command::kRelay:
      return {"ignore-quota",       "over-quota", "tag-keys", "tls", "tls-ca-file",
              "auth-password-file", "config",     "user",     "log", "debug-peer"};
    case Command::kDeliver:
      return {"sender",      "destination",        "ignore-quota", "trace-id", "tls",
              "tls-ca-file", "auth-password-file", "config",       "user",     "log"};
    case Command::kProbe:
      return {"rcpt",     "timeout", "monitor",     "json",
              "trace-id", "tls",     "tls-ca-file", "auth-password-file",
              "config",   "user"};
    case Command::kServe:
      break;
  }
  return {"listen", "check", "status", "metrics", "ignore-quota", "tls", "auth-password-file",
          "config", "user",  "log"};
}

}  // namespace

OptionTable option_table(Command command, Settings& settings) {
  OptionTable table;
  if (command == Command::kDeliver) {
    append(table, deliver_options(settings));
  } else if (command == Command::kProbe) {
    append(table, probe_options(settings));
  } else if (command == Command::kServe) {
    append(table, serve_option_table(settings.serve));
    append(table, json_options(settings, "The daemon", "with --status: print JSON"));
    append(table, listener_option_table(settings.serve.listener));
  }
  append(table, delivery_options(settings));
  append(table, destination_options(settings));
  append(table, port_options(settings));
  append_new(table, store_option_table(settings.store_defaults));
  append(table, time_options(settings.timeouts));
  append(table, process_options(settings));
  if (command == Command::kServe) {
    append(table, pool_option_table(settings.store_defaults.pool));
    append(table, route_option_table(settings.routes));
  }
  if (command == Command::kProbe) {
    hide_unused_by_probe(table, settings);
  }
  // Of a name that several commands have, the first counts.
  append_new(table, of_command("probe and serve", json_options(settings, "", "")));
  append_new(table, of_command("deliver", deliver_options(settings)));
  append_new(table, of_command("probe", probe_options(settings)));
  append_new(table, of_command("serve", serve_options(settings)));
  return table;
}

OptionTable listener_table(Settings& settings) {
  OptionTable table = listener_option_table(settings.serve.listener);
  append(table, delivery_options(settings));
  append(table, destination_options(settings));
  return table;
}

OptionReader option_reader(Command command, Settings& settings) {
  return OptionReader(option_table(command, settings), section_kinds(settings),
                      {help_of(command), "lmtpq.conf(5)"});
}

HelpWish wished_help(Command command, const std::vector<std::string>& arguments) {
  Settings settings;
  return lmtpq::wished_help(arguments, [&] { return option_table(command, settings); });
}

std::string options_help(Command command, HelpWish wish) {
  Settings settings;
  OptionTable table = option_table(command, settings);
  mark_usual(table, usual_options(command));
  return OptionReader(std::move(table), {}, {help_of(command), ""}).help(wish) +
         "\nEach option is explained in lmtpq(8), the file in lmtpq.conf(5).\n";
}

}  // namespace lmtpq::mailer

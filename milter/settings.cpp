#include "milter/settings.h"

#include <algorithm>

#include "common/header.h"
#include "common/options/option_table.h"
#include "common/tag/milter_defaults.h"
#include "milter/process/socket_name.h"

namespace lmtpq::milter {
namespace {

using std::chrono::seconds;

Reader socket_name(std::string& into) {
  return [&into](std::string_view text) { into = SocketName::parse(std::string(text)).text(); };
}

Reader words(std::vector<std::string>& into) {
  return [&into](std::string_view text) {
    into = list_of(text);
    if (into.empty()) {
      throw ConfigError("expected at least one name");
    }
  };
}

Reader lifetime(std::chrono::milliseconds& into) {
  return [&into](std::string_view text) {
    into = parse_duration(text);
    if (into < seconds(1)) {
      throw ConfigError("expected 1s or more");
    }
  };
}

Reader field_names(std::vector<std::string>& into) {
  return [&into](std::string_view text) {
    into = list_of(text);
    if (!std::all_of(into.begin(), into.end(), is_field_name)) {
      throw ConfigError("expected names of header fields, without colons");
    }
  };
}

Reader clients(ClientSet& into) {
  return [&into](std::string_view text) { into = ClientSet::parse(text); };
}

Reader task(Task& into, Task meant) {
  return [&into, meant](std::string_view text) {
    if (parse_switch(text)) {
      into = meant;
    }
  };
}

OptionTable program_options(Settings& s) {
  return under(
      "The program",
      {argv_only(value("config", "FILE", kDefaultConfigFile,
                       "file with the rules and these options; the command line overrides it",
                       reader::text(s.config_file))),
       value("socket", "SOCKET", kMilterSocket,
             "where the MTA connects: unix:PATH, inet:PORT@HOST or inet6:PORT@HOST",
             socket_name(s.socket)),
       value("user", "USER", "", "change to this user and its groups once the socket is open",
             reader::text(s.user)),
       value("pid-file", "FILE", "", "write the process id to this file",
             reader::absolute_path(s.pid_file)),
       argv_only(value("foreground", "", "", "do not go into the background",
                       reader::boolean(s.foreground))),
       argv_only(value("check", "", "", "check the configuration, report errors and exit",
                       task(s.task, Task::kCheck))),
       value("log", "WHERE", "syslog", "syslog, stderr or the path of a file",
             reader::log_place(s.log)),
       value("log-level", "LEVEL", "info", "error, warning, info or debug",
             [&s](std::string_view level) { s.log_level = parse_log_level(level); }),
       advanced(value(
           "failure", "ACTION", "accept",
           "what to do with a message when deciding fails: accept (without a tag) or tempfail",
           reader::choice(s.failure, {{"accept", FailureAction::kAccept},
                                      {"tempfail", FailureAction::kTempfail}})))});
}

OptionTable tag_options(Settings& s) {
  return under(
      "Tags and trace ids",
      {value("tag-keys", "FILE", "",
             "file with the keys that sign tags; default: /etc/lmtpq/tag.keys, if it exists",
             reader::absolute_path(s.tag_keys)),
       value("tag-mailers", "NAMES", kTagMailers,
             "Sendmail's mailers that run lmtpq; recipients of other mailers get no tag",
             words(s.tag_mailers)),
       advanced(value("tag-lifetime", "TIME", "7d",
                      "how long a tag is valid; longer than mail may stay in the queue",
                      lifetime(s.tag_lifetime))),
       advanced(value("bind-queue-id", "SWITCH", "yes",
                      "make a tag valid for the queue id of its message only: yes or no",
                      reader::boolean(s.bind_queue_id))),
       value("accept-trace-from", "FIELDS", "",
             "header fields in which trusted clients send a trace id", field_names(s.trace_fields)),
       value("trusted-clients", "CLIENTS", "",
             "clients whose trace ids are used: addresses, networks, or local",
             clients(s.trusted_clients))});
}

OptionTable explain_options(Settings& s) {
  return under(
      "Explain a decision (the message is read from standard input)",
      {argv_only(value("explain", "", "", "print which rule matches, why, and the tag",
                       task(s.task, Task::kExplain))),
       argv_or_section(value("client", "ADDRESS", "",
                             "the client's address; without it: a local program",
                             reader::text(s.client))),
       argv_or_section(value("from", "ADDRESS", "",
                             "the envelope sender; without it: the null sender",
                             reader::text(s.sender))),
       argv_or_section(value("rcpt", "LIST", "", "the envelope recipients, separated by commas",
                             reader::text(s.recipients))),
       argv_or_section(value("auth", "USER", "", "the authenticated user", reader::text(s.auth))),
       argv_or_section(value("tls-subject", "NAME", "",
                             "the verified subject of the client's certificate",
                             reader::text(s.tls_subject))),
       argv_only(value("queue-id", "ID", "", "bind the tag to this queue id",
                       reader::text(s.queue_id)))});
}

}  // namespace

OptionTable option_table(Settings& settings) {
  OptionTable table = program_options(settings);
  append(table, tag_options(settings));
  append(table, explain_options(settings));
  return table;
}

HelpWish wished_help(const std::vector<std::string>& arguments) {
  Settings settings;
  return lmtpq::wished_help(arguments, [&] { return option_table(settings); });
}

std::string help(HelpWish wish) {
  Settings settings;
  OptionTable table = option_table(settings);
  mark_usual(table, {"config", "socket", "user", "foreground", "check", "log", "tag-keys",
                     "tag-mailers", "explain", "rcpt"});
  return "usage: lmtpq-milter [--config FILE] [--socket SOCKET] [--foreground]\n"
         "       lmtpq-milter --check [--config FILE]\n"
         "       lmtpq-milter --explain [--client ADDRESS] [--from ADDRESS] --rcpt LIST [more] < "
         "message\n"
         "       lmtpq-milter --help | --help=all | --version\n\n" +
         OptionReader(std::move(table), {}, {"lmtpq-milter --help", ""}).help(wish) +
         "\nEach option and the file are explained in lmtpq-milter(8).\n";
}

}  // namespace lmtpq::milter

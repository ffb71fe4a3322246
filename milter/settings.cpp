#include "milter/settings.h"

#include <algorithm>

#include "common/config/option_table.h"
#include "common/header.h"
#include "common/privileges.h"
#include "milter/policy/rules.h"
#include "milter/socket_name.h"

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
      throw ConfigError("expected one name or more");
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
  return [&into](std::string_view text) {
    into = ClientSet();
    for (const std::string& word : list_of(text)) {
      if (!into.add(word)) {
        throw ConfigError("expected addresses, networks such as 192.0.2.0/24, or local; " + word +
                          " is none");
      }
    }
  };
}

Reader task(Task& into, Task meant) {
  return [&into, meant](std::string_view text) {
    if (parse_switch(text)) {
      into = meant;
    }
  };
}

Table program_options(Settings& s) {
  return under(
      "The program",
      {argv_only(value("config", "FILE", kDefaultConfigFile,
                       "the rules, and these options; what the command line says counts more",
                       reader::text(s.config_file))),
       value("socket", "SOCKET", kDefaultSocket,
             "where the MTA finds us: unix:PATH or inet:PORT@HOST", socket_name(s.socket)),
       value("user", "USER", "", "become this user, with its groups, once the socket is open",
             reader::text(s.user)),
       value("pid-file", "FILE", "", "write the process id there",
             reader::absolute_path(s.pid_file)),
       argv_only(value("foreground", "", "", "stay with the terminal, or the supervisor",
                       reader::boolean(s.foreground))),
       argv_only(value("check", "", "", "read the configuration, say whether it is good, and end",
                       task(s.task, Task::kCheck))),
       value("failure", "ACTION", "accept",
             "what becomes of a message that cannot be judged: accept (untagged) or tempfail",
             reader::choice(s.failure, {{"accept", FailureAction::kAccept},
                                        {"tempfail", FailureAction::kTempfail}})),
       value("log", "WHERE", "syslog", "syslog, stderr or the path of a file",
             reader::log_place(s.log)),
       value("log-level", "LEVEL", "info", "error, warning, info or debug",
             [&s](std::string_view level) { s.log_level = parse_log_level(level); })});
}

Table tag_options(Settings& s) {
  return under(
      "Tags and trace ids",
      {value("tag-keys", "FILE", "",
             "the keys that sign tags; default: /etc/lmtpq/tag.keys, if it exists",
             reader::absolute_path(s.tag_keys)),
       value("tag-mailers", "NAMES", "cyrusv2 cyrusv2q",
             "Sendmail's names of the mailers that run lmtpq; recipients of others get no tag",
             words(s.tag_mailers)),
       value("tag-lifetime", "TIME", "7d",
             "how long a tag is believed; longer than mail may wait in the queue",
             lifetime(s.tag_lifetime)),
       value("bind-queue-id", "SWITCH", "yes",
             "a tag is good for the queue id that it was made for only",
             reader::boolean(s.bind_queue_id)),
       value("accept-trace-from", "FIELDS", "",
             "header fields whose trace id is taken over, from trusted clients",
             field_names(s.trace_fields)),
       value("trusted-clients", "CLIENTS", "",
             "whose trace ids are taken over: addresses, networks, or local",
             clients(s.trusted_clients))});
}

Table explain_options(Settings& s) {
  return under(
      "Ask for a decision (the message comes from standard input)",
      {argv_only(value("explain", "", "", "print which rule matches and why, and the tag",
                       task(s.task, Task::kExplain))),
       argv_or_section(value("client", "ADDRESS", "", "the client's address; none: a local program",
                             reader::text(s.client))),
       argv_or_section(value("from", "ADDRESS", "", "the envelope's sender; none: the null sender",
                             reader::text(s.sender))),
       argv_or_section(value("rcpt", "LIST", "", "the envelope's recipients, with commas",
                             reader::text(s.recipients))),
       argv_or_section(
           value("auth", "USER", "", "whom the client proved to be", reader::text(s.auth))),
       argv_or_section(value("tls-subject", "NAME", "",
                             "the subject of its certificate, as verified",
                             reader::text(s.tls_subject))),
       argv_only(value("queue-id", "ID", "", "bind the tag to this queue id",
                       reader::text(s.queue_id)))});
}

}  // namespace

std::vector<Option> option_table(Settings& settings) {
  Table table = program_options(settings);
  append(table, tag_options(settings));
  append(table, explain_options(settings));
  return table;
}

Loaded load(const std::vector<std::string>& arguments) {
  Loaded loaded;
  Settings& settings = loaded.settings;
  Config config(option_table(settings), {"rule."});
  const std::vector<std::string> operands = config.take_arguments(arguments);
  if (!operands.empty()) {
    throw ConfigError("an operand, " + operands[0] + ", where only options stand");
  }
  const std::string file = config.argument_or_default("config");
  config.take_file(file, true);
  config.apply();
  loaded.effective = config.effective();

  Configuration made;
  made.policy = Policy(parse_rules(config.free_sections()), settings.tag_mailers);
  made.trace = TraceOrigin(settings.trace_fields, settings.trusted_clients);
  made.tag_lifetime = std::chrono::duration_cast<seconds>(settings.tag_lifetime);
  made.bind_queue_id = settings.bind_queue_id;
  made.failure = settings.failure;
  try {
    made.keys = Keyring::read_or_default(settings.tag_keys, future_user(settings.user));
  } catch (const ConfigError& error) {
    if (settings.task != Task::kExplain) {
      throw;
    }
    loaded.keys_error = error.what();
  }
  loaded.configuration = std::make_shared<const Configuration>(std::move(made));
  return loaded;
}

std::string help() {
  Settings settings;
  return "usage: lmtpq-milter [--config FILE] [--socket SOCKET] [--foreground]\n"
         "       lmtpq-milter --check [--config FILE]\n"
         "       lmtpq-milter --explain --client IP --from A --rcpt B [--auth U] < message\n"
         "       lmtpq-milter --help | --version\n\n" +
         Config(option_table(settings)).help();
}

}  // namespace lmtpq::milter

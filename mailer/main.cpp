// Chooses the subcommand, reads its settings, gives up privileges, runs its front; and catches what
// must not escape: where a message is at stake every mistake is temporary (75), since Sendmail
// takes EX_USAGE, EX_CONFIG and their like for a bounce.

#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "config.h"
#include "credentials.h"
#include "fronts.h"
#include "log.h"
#include "privileges.h"
#include "secret.h"
#include "settings.h"

namespace lmtpq {
namespace {

constexpr const char* kVersion = LMTPQ_VERSION;

constexpr const char* kKeygenUsage =
    "usage: lmtpq keygen\n"
    "\n"
    "Prints a new key line for the key file of lmtpq and lmtpq-milter:\n"
    "    (umask 077; lmtpq keygen >> /etc/lmtpq/tag.keys)\n"
    "The first key of the file signs, all of them verify.\n";

constexpr const char* kUsage =
    "usage: lmtpq relay [options] DEST...                    LMTP server on standard input and\n"
    "                                                        output, for Sendmail (F=z)\n"
    "       lmtpq deliver [options] -d DEST -f SENDER RCPT...  one message from standard input\n"
    "       lmtpq probe [options] DEST                       what does this store offer?\n"
    "       lmtpq keygen                                     a new key line for the tags' key "
    "file\n"
    "       lmtpq COMMAND --help | --version\n"
    "\n"
    "DEST is unix:PATH, inet:HOST[:PORT] or inet:[ADDRESS][:PORT]; several are tried in order.\n";

struct CommandName {
  const char* name;
  Command command;
  const char* operands;
};
constexpr CommandName kCommands[] = {
    {"relay", Command::kRelay, "[options] DEST..."},
    {"deliver", Command::kDeliver, "[options] -d DEST -f SENDER [--] RCPT..."},
    {"probe", Command::kProbe, "[options] DEST"},
};

const CommandName* find_command(const std::string& word) {
  for (const CommandName& command : kCommands) {
    if (word == command.name) {
      return &command;
    }
  }
  return nullptr;
}

// Only as the first word: further on it may be a value, and a message must not be thrown away with
// exit status 0 because its sender is "--help".
bool asks(const std::vector<std::string>& words, const char* option) {
  return !words.empty() && words[0] == option;
}

void check(const Settings& settings) {
  if (settings.stores.empty()) {
    throw ConfigError("no destination; expected unix:PATH or inet:HOST[:PORT]");
  }
  for (const Store& store : settings.stores) {
    check(store);
    if (settings.timeouts.answer() <= store.settings.timeouts.data_done) {
      throw ConfigError(
          "--mta-timeout must be longer than --data-done-timeout by a tenth of it, or by 30s");
    }
  }
}

// Defaults, then the file, then argv; returns the operands that are no destinations.
std::vector<std::string> configure(Command command, const std::vector<std::string>& arguments,
                                   Settings& settings) {
  if (std::find(arguments.begin(), arguments.end(), "--help") != arguments.end()) {
    throw ConfigError("--help stands right behind the subcommand, alone");
  }
  Config config(option_table(command, settings), kSectionPrefix);
  std::vector<std::string> operands = config.take_arguments(arguments);
  settings.config_file = config.argument_or_default("config");
  config.take_file(settings.config_file, config.named_in_arguments("config"));
  config.apply();
  if (command != Command::kDeliver && !operands.empty()) {
    settings.destinations.clear();
    for (const std::string& operand : operands) {
      settings.destinations.push_back(parse_destination(operand));
    }
    operands.clear();
  }
  if (command == Command::kProbe && settings.destinations.size() > 1) {
    throw ConfigError("one DEST at a time; found " + std::to_string(settings.destinations.size()));
  }
  settings.stores = find_stores(config, settings.destinations);
  check(settings);
  if (command == Command::kDeliver && operands.empty()) {
    throw ConfigError("no recipient; expected lmtpq deliver -d DEST -f SENDER RCPT...");
  }
  if (command == Command::kDeliver && !config.named_in_arguments("sender")) {
    throw ConfigError("no sender; expected -f ADDRESS, or -f '' for none");
  }
  return operands;
}

// What a mistake in a file's reading is called by the option that names the file.
template <typename Read>
auto read_named(const char* option, Read read) {
  try {
    return read();
  } catch (const ConfigError& error) {
    throw ConfigError(std::string(option) + ": " + error.what());
  }
}

void read_store_secrets(Store& store, uid_t reader) {
  TlsSettings& tls = store.settings.tls;
  if (!tls.certificate_file.empty() && store.wants_tls()) {
    const bool together = tls.key_file.empty();
    const char* const option =
        together ? "--tls-cert, which holds the key too where --tls-key is not set" : "--tls-key";
    tls.key = read_named(option, [&] {
      return read_secret_file(together ? tls.certificate_file : tls.key_file, reader, "the key");
    });
  }
  const AuthSettings& auth = store.settings.auth;
  store.login.user = auth.user;
  if (!auth.password_file.empty()) {
    const Credentials all = read_named(
        "--auth-password-file", [&] { return Credentials::read(auth.password_file, reader); });
    if (const Login* const login = all.find(store.destination, auth.user)) {
      store.login = {login->user, Secret(login->password.text())};
    }
  }
}

// Before we give up root's rights, if we have them: the files may be root's alone. True when there
// were any.
bool read_secrets(Command command, Settings& settings) {
  const uid_t reader = future_user(settings.user);
  const AsRoot rights;
  if (command != Command::kProbe && settings.tag_keys != "none") {
    settings.keys = read_named("--tag-keys",
                               [&] { return Keyring::read_or_default(settings.tag_keys, reader); });
  }
  bool any = !settings.keys.empty();
  for (Store& store : settings.stores) {
    read_store_secrets(store, reader);
    any = any || !store.settings.tls.key.empty() || !store.login.password.empty();
  }
  return any;
}

void warn_of_spool(const Settings& settings, const Log& log) {
  if (eaccess(settings.spool_dir.c_str(), W_OK | X_OK) != 0) {
    log.warning(Record()
                    .add("spool-dir", settings.spool_dir)
                    .add("error", std::strerror(errno))
                    .add("effect", "messages over 256 KiB will be deferred"));
  }
}

// A slip that would leave a store with less TLS than was meant.
void warn_of_sections(const Settings& settings, const Log& log) {
  for (const Store& store : settings.stores) {
    if (!store.near_miss.empty()) {
      log.warning(Record()
                      .add("destination", store.destination.text)
                      .add("section", "none")
                      .add("near", store.near_miss)
                      .add("tls", kTlsLevelNames[static_cast<int>(store.settings.tls.level)]));
    }
  }
}

// What root can read here the mailer may not.
void check_config_file(const std::string& path, const Settings& settings) {
  if (!settings.user.empty() && eaccess(path.c_str(), R_OK) != 0 && errno != ENOENT) {
    throw ConfigError(path + ": " + std::strerror(errno) + " as user " + settings.user +
                      "; chmod 644, or its folder 755");
  }
}

void report(const std::string& mistake, const Settings& settings) {
  // As root we may not have come to giving that up, and a file that root makes is closed to the
  // mailer's user later. Nor may the place be read yet.
  const bool usable = settings.log == "stderr" || (!settings.log.empty() && geteuid() != 0);
  const Log log("lmtpq", usable ? settings.log : "syslog", LogLevel::kInfo);
  log.error(Record().add("error", mistake));
}

int run(Command command, const std::vector<std::string>& arguments, Settings& settings,
        const std::optional<StdioChannel>& stdio) {
  const std::vector<std::string> operands = configure(command, arguments, settings);
  const bool secrets = read_secrets(command, settings);
  drop_privileges(settings.user);
  if (secrets) {
    forbid_core_dumps();  // a change of user allows them again (prctl(2))
  }
  const Log log("lmtpq", settings.log, settings.log_level);
  warn_of_sections(settings, log);
  if (command == Command::kProbe) {
    check_config_file(settings.config_file, settings);
    return run_probe(settings, log);
  }
  warn_of_spool(settings, log);
  return stdio ? run_relay(settings, log, *stdio) : run_deliver(settings, log, operands);
}

int guarded(Command command, const std::vector<std::string>& arguments) {
  const std::optional<StdioChannel> stdio =
      command == Command::kRelay ? std::optional(take_stdio()) : std::nullopt;
  Settings settings;
  try {
    return run(command, arguments, settings, stdio);
  } catch (const std::exception& error) {
    if (command == Command::kProbe) {
      refuse_probe(error.what(),
                   std::find(arguments.begin(), arguments.end(), "--json") != arguments.end());
      return EX_USAGE;
    }
    report(error.what(), settings);
    if (stdio) {
      refuse_relay(*stdio, error.what());
    } else {
      std::fprintf(stderr, "lmtpq: %s\n", error.what());
    }
    return EX_TEMPFAIL;
  }
}

int run_keygen(const std::vector<std::string>& arguments) {
  if (asks(arguments, "--help")) {
    std::fputs(kKeygenUsage, stdout);
    return EX_OK;
  }
  if (!arguments.empty()) {
    std::fprintf(stderr, "lmtpq: keygen takes no arguments\n");
    return EX_USAGE;
  }
  std::fputs(Key::generate().line().c_str(), stdout);
  if (std::fflush(stdout) != 0) {
    std::fprintf(stderr, "lmtpq: the key was not written: %s\n", std::strerror(errno));
    return EX_IOERR;
  }
  return EX_OK;
}

int run_command(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || asks(words, "--help")) {
    std::fputs(kUsage, words.empty() ? stderr : stdout);
    return words.empty() ? EX_TEMPFAIL : EX_OK;
  }
  if (asks(words, "--version")) {
    std::printf("lmtpq %s\n", kVersion);
    return EX_OK;
  }
  if (words[0] == "keygen") {
    return run_keygen({words.begin() + 1, words.end()});
  }
  const CommandName* const command = find_command(words[0]);
  if (command == nullptr) {
    std::fprintf(stderr, "lmtpq: unknown command %s; expected relay, deliver, probe or keygen\n",
                 words[0].c_str());
    return EX_TEMPFAIL;
  }
  const std::vector<std::string> arguments(words.begin() + 1, words.end());
  if (asks(arguments, "--version")) {
    std::printf("lmtpq %s\n", kVersion);
    return EX_OK;
  }
  if (asks(arguments, "--help")) {
    Settings settings;
    std::printf("usage: lmtpq %s %s\n\n%s", command->name, command->operands,
                Config(option_table(command->command, settings)).help().c_str());
    return EX_OK;
  }
  signal(SIGPIPE, SIG_IGN);
  return guarded(command->command, arguments);
}

}  // namespace
}  // namespace lmtpq

int main(int argc, char** argv) { return lmtpq::run_command(argc, argv); }

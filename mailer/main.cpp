// lmtpq: chooses the subcommand, reads its settings, gives up privileges, runs it.
//
// Where a message is at stake, every error ends with exit status 75: Sendmail would bounce the mail
// for EX_USAGE, EX_CONFIG and the like.

#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "common/descriptor.h"
#include "common/log/log.h"
#include "common/options/option_reader.h"
#include "common/privileges.h"
#include "common/secret.h"
#include "mailer/commands.h"
#include "mailer/settings/build_features.h"
#include "mailer/settings/load_settings.h"
#include "mailer/settings/secrets.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kKeygenUsage =
    "usage: lmtpq keygen\n"
    "\n"
    "Prints a new key, to be appended to the key file of lmtpq and lmtpq-milter:\n"
    "    (umask 077; lmtpq keygen >> /etc/lmtpq/tag.keys)\n"
    "The first key in the file signs; all keys verify.\n";

constexpr const char* kUsage =
    "usage: lmtpq relay [options] DEST...                    LMTP server on standard input and\n"
    "                                                        output, for Sendmail (F=z)\n"
    "       lmtpq deliver [options] -d DEST -f SENDER RCPT...  deliver one message from standard "
    "input\n"
    "       lmtpq serve [options] --listen ADDRESS DEST...   the daemon\n"
    "       lmtpq probe [options] DEST                       show what a store offers\n"
    "       lmtpq check [options]                            check the configuration files\n"
    "       lmtpq keygen                                     print a new key for the tag key file\n"
    "       lmtpq COMMAND --help | --version\n"
    "\n"
    "DEST is unix:PATH, inet:HOST[:PORT], inet:[ADDRESS][:PORT] or smtp:HOST[:PORT]; several are\n"
    "tried in order.\n";

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

// Only as the first argument: later it may be a value, and a message must not be discarded with
// exit status 0 because its sender is "--help".
bool asks(const std::vector<std::string>& words, const char* option) {
  return !words.empty() && words[0] == option;
}

void report(const std::string& error, const Settings& settings) {
  // As root, privileges may not have been given up yet, and the mailer's user could not write a log
  // file that root creates. The setting may not have been read yet either.
  const bool usable = settings.log == "stderr" || (!settings.log.empty() && geteuid() != 0);
  const Log log("lmtpq", usable ? settings.log : "syslog", LogLevel::kInfo);
  log.error(Record("not-started").add("error", error));
}

int run(Command command, const std::vector<std::string>& arguments, Settings& settings,
        const std::optional<StdioChannel>& stdio) {
  std::vector<std::string> operands = load_settings(command, arguments, settings);
  if (command == Command::kProbe && !settings.user.empty()) {
    // Before it reads anything else, and again: root could read what this user cannot.
    at_place(settings.places.of("user"), [&] { drop_privileges(settings.user); });
    settings = Settings();
    operands = load_settings(command, arguments, settings);
  }
  const bool secrets = read_secrets(command, settings);
  at_place(settings.places.of("user"), [&] { drop_privileges(settings.user); });
  if (secrets) {
    forbid_core_dumps();  // a change of user allows them again (prctl(2))
  }
  const Log log("lmtpq", settings.log, settings.log_level);
  warn_of_sections(settings, log);
  if (command == Command::kProbe) {
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
    std::fprintf(stderr, "lmtpq: cannot write the key: %s\n", std::strerror(errno));
    return EX_IOERR;
  }
  return EX_OK;
}

// The daemon is a separate program, since its libraries would slow down every start of lmtpq, and
// Sendmail starts lmtpq for each message. It also checks configurations, its own and the others.
int become_daemon(std::string name, char** words) {
  std::array<char, 4096> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size() - 1);
  const std::string own(path.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  const std::string daemon = own.substr(0, own.rfind('/') + 1) + kServeName;
  words[0] = name.data();
  execv(daemon.c_str(), words);
  std::fprintf(stderr,
               "lmtpq: cannot run %s: %s; install it in the same directory as lmtpq (Debian: the "
               "package lmtpq-serve)\n",
               daemon.c_str(), std::strerror(errno));
  return EX_OSFILE;
}

int run_command(int argc, char** argv) {
  fill_standard_descriptors();
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || asks(words, "--help")) {
    std::fputs(kUsage, words.empty() ? stderr : stdout);
    return words.empty() ? EX_TEMPFAIL : EX_OK;
  }
  if (asks(words, "--version")) {
    std::fputs(version_text().c_str(), stdout);
    return EX_OK;
  }
  if (words[0] == "keygen") {
    return run_keygen({words.begin() + 1, words.end()});
  }
  if (words[0] == "serve" || words[0] == "check") {
    return become_daemon(words[0] == "serve" ? kServeName : kCheckName, argv + 1);
  }
  const CommandName* const command = find_command(words[0]);
  if (command == nullptr) {
    std::fprintf(
        stderr,
        "lmtpq: unknown command %s; expected relay, deliver, serve, probe, check or keygen\n",
        words[0].c_str());
    return EX_TEMPFAIL;
  }
  const std::vector<std::string> arguments(words.begin() + 1, words.end());
  if (asks(arguments, "--version")) {
    std::fputs(version_text().c_str(), stdout);
    return EX_OK;
  }
  if (asks(arguments, "--help")) {
    std::printf("usage: lmtpq %s %s\n\n%s", command->name, command->operands,
                options_help(command->command).c_str());
    return EX_OK;
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a write over the limit fails with EFBIG instead
  return guarded(command->command, arguments);
}

}  // namespace
}  // namespace lmtpq::mailer

int main(int argc, char** argv) { return lmtpq::mailer::run_command(argc, argv); }

// lmtpq: chooses the subcommand, reads its settings, gives up privileges, runs it.
//
// Where a message is at stake, every error ends with exit status 75: Sendmail would bounce the mail
// for EX_USAGE, EX_CONFIG and the like.

#include <signal.h>
#include <sys/stat.h>
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
#include "common/escape.h"
#include "common/log/log.h"
#include "common/options/option_reader.h"
#include "common/privileges.h"
#include "common/process/daemon_signals.h"
#include "common/process/standard_output.h"
#include "common/secret.h"
#include "mailer/commands.h"
#include "mailer/settings/build_features.h"
#include "mailer/settings/load_settings.h"
#include "mailer/settings/secrets.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kUsage =
    "usage: lmtpq relay [options] DEST...                    LMTP server on standard input and\n"
    "                                                        output, for Sendmail (F=z)\n"
    "       lmtpq deliver [options] -d DEST -f SENDER RCPT...  deliver one message from standard "
    "input\n"
    "       lmtpq serve [options] --listen ADDRESS DEST...   the daemon\n"
    "       lmtpq probe [options] DEST                       show what a store offers\n"
    "       lmtpq check [options]                            check the configuration files, a\n"
    "                                                        sendmail.cf, or a queue\n"
    "       lmtpq keygen [options]                           print a key, or make or change the\n"
    "                                                        key file\n"
    "       lmtpq help [COMMAND]                             how to use a command, its usual "
    "options\n"
    "       lmtpq COMMAND --help | --help=all | --version\n"
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

bool is_help(const std::string& word) {
  return word == "-h" || word == "--help" || word == "--help=all";
}

// Whether `deliver` may have been started with a message, which must not be discarded with exit
// status 0 because its recipient is "--help". A terminal and /dev/null have none.
bool may_have_message(const std::vector<std::string>& arguments) {
  struct stat input {};
  return std::any_of(arguments.begin(), arguments.end(),
                     [](const std::string& word) {
                       return word.starts_with("-f") || word.starts_with("--sender");
                     }) &&
         !(fstat(STDIN_FILENO, &input) == 0 && S_ISCHR(input.st_mode));
}

// Only as the first argument: later it may be a value.
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
  std::optional<StdioChannel> stdio;
  Settings settings;
  try {
    if (command == Command::kRelay) {
      stdio = take_stdio();
    }
    return run(command, arguments, settings, stdio);
  } catch (const std::exception& error) {
    if (command == Command::kProbe) {
      return refuse_probe(error.what(), arguments);
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

// The daemon is a separate program, since its libraries would slow down every start of lmtpq, and
// Sendmail starts lmtpq for each message. It also checks configurations, its own and the others.
int become_daemon(std::string name, std::vector<std::string> arguments) {
  std::array<char, 4096> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (length <= 0) {
    std::fprintf(stderr, "lmtpq: cannot find %s: /proc/self/exe: %s; mount /proc\n", kServeName,
                 std::strerror(errno));
    return EX_OSFILE;
  }
  const std::string own(path.data(), static_cast<std::size_t>(length));
  const std::string daemon = own.substr(0, own.rfind('/') + 1) + kServeName;
  std::vector<char*> words = {name.data()};
  for (std::string& argument : arguments) {
    words.push_back(argument.data());
  }
  words.push_back(nullptr);
  if (name == kServeName) {
    block_daemon_signals();  // it inherits that
  }
  execv(daemon.c_str(), words.data());
  std::fprintf(stderr,
               "lmtpq: cannot run %s: %s; install it in the same directory as lmtpq (Debian: the "
               "package lmtpq-serve)\n",
               daemon.c_str(), std::strerror(errno));
  return EX_OSFILE;
}

// A mistake ends with 75, as the command may have been for a message.
int run_mail_command(const CommandName& command, const std::vector<std::string>& arguments) {
  if (asks(arguments, "--version")) {
    std::fputs(version_text().c_str(), stdout);
    return EX_OK;
  }
  const HelpWish wish = wished_help(command.command, arguments);
  if (wish != HelpWish::kNone && command.command == Command::kDeliver && !is_help(arguments[0]) &&
      may_have_message(arguments)) {
    const char* const error = "--help must be the first argument where there may be a message";
    report(error, Settings());
    std::fprintf(stderr, "lmtpq: %s\n", error);
    return EX_TEMPFAIL;
  }
  if (wish != HelpWish::kNone) {
    std::printf("usage: lmtpq %s %s\n\n%s", command.name, command.operands,
                options_help(command.command, wish).c_str());
    return EX_OK;
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a write over the limit fails with EFBIG instead
  return guarded(command.command, arguments);
}

int run_command(const std::string& name, const std::vector<std::string>& arguments,
                int status_of_mistake) {
  if (name == "keygen") {
    return run_keygen(arguments);
  }
  if (name == "serve") {
    return become_daemon(kServeName, arguments);
  }
  if (name == "check") {
    const std::optional<int> status = run_check(arguments);
    return status ? *status : become_daemon(kCheckName, arguments);
  }
  if (const CommandName* const command = find_command(name)) {
    return run_mail_command(*command, arguments);
  }
  std::fprintf(stderr,
               "lmtpq: unknown command %s; expected relay, deliver, serve, probe, check, keygen "
               "or help\n",
               escaped(name).c_str());
  return status_of_mistake;
}

int run_help(const std::vector<std::string>& arguments) {
  if (arguments.empty() || is_help(arguments[0])) {
    std::fputs(kUsage, stdout);
    return EX_OK;
  }
  if (arguments.size() > 1 && !is_help(arguments[1])) {
    std::fputs("lmtpq: help takes the name of one command\n", stderr);
    return EX_USAGE;
  }
  return run_command(arguments[0], {arguments.size() > 1 ? arguments[1] : "--help"}, EX_USAGE);
}

int run_words(const std::vector<std::string>& words) {
  fill_standard_descriptors();
  if (words.empty()) {
    std::fputs(kUsage, stderr);
    return EX_TEMPFAIL;
  }
  const std::vector<std::string> arguments(words.begin() + 1, words.end());
  if (is_help(words[0])) {
    return run_help({});
  }
  if (words[0] == "help") {
    return run_help(arguments);
  }
  if (asks(words, "--version")) {
    std::fputs(version_text().c_str(), stdout);
    return EX_OK;
  }
  return run_command(words[0], arguments, EX_TEMPFAIL);
}

}  // namespace
}  // namespace lmtpq::mailer

int main(int argc, char** argv) {
  return lmtpq::status_of_output("lmtpq", lmtpq::mailer::run_words({argv + 1, argv + argc}));
}

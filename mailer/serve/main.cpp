// lmtpq-serve: `lmtpq serve` executes it, and so does `lmtpq check`, under another name. Reads the
// settings, opens the sockets, gives up privileges, serves.

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sysexits.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/descriptor.h"
#include "common/privileges.h"
#include "common/process/daemon_signals.h"
#include "common/process/standard_output.h"
#include "common/secret.h"
#include "common/shortage.h"
#include "mailer/commands.h"
#include "mailer/io/secure_loader.h"
#include "mailer/serve/check/check_command.h"
#include "mailer/serve/daemon.h"
#include "mailer/serve/ldap/ldap_directory.h"
#include "mailer/serve/status/status_client.h"
#include "mailer/serve/upgrade/predecessor.h"
#include "mailer/settings/build_features.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kUsage =
    "usage: lmtpq serve [options] --listen ADDRESS[,ADDRESS...] DEST...\n"
    "       lmtpq serve --check [options]\n"
    "       lmtpq serve --status [--json] [--control PATH]\n"
    "\n"
    "An LMTP server that keeps connections to the stores open. SIGHUP reloads the configuration,\n"
    "keys and certificates, and upgrades to a program that was installed since; SIGUSR2 always\n"
    "upgrades; SIGTERM stops it after the messages in progress.\n\n";

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kStack = 8 * 1024 * 1024;  // the sanitizers use the stack too
#else
constexpr std::size_t kStack = 512 * 1024;
#endif

// Blocking calls run on helper threads, possibly many: keeps their stacks and malloc arenas small.
void limit_thread_memory() {
  constexpr int kArenas = 4;
  constexpr int kLarge = 128 * 1024;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
  mallopt(M_ARENA_MAX, kArenas);
  mallopt(M_MMAP_THRESHOLD, kLarge);  // fixed: memory of messages goes back to the kernel
}

bool contains(const std::vector<std::string>& words, const char* word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// They are not destroyed: see main().
struct Process {
  std::optional<Signals> signals;
  std::optional<Predecessor> predecessor;
  std::optional<Daemon> daemon;
};

int serve(const std::vector<std::string>& arguments, Process& own) {
  if (contains(arguments, "--check")) {
    return check_serve(arguments);
  }
  DaemonSettings settings = load_daemon_settings(arguments);
  const Settings& process = settings.process;
  if (process.serve.status) {
    return run_status(process);
  }
  if (process.serve.check) {
    return check_serve(arguments);
  }
  require_listeners(settings);
  if (!own.signals) {
    throw ConfigError("--status, --help and --version cannot be the value of an option");
  }
  const std::string user = process.user;
  const std::string place = process.places.of("user");
  raise_descriptor_limit();
  if (!process.routes.directory.uris.empty()) {
    secure_library();  // first: libsasl2 must get its callbacks from there, not from libldap
    prepare_ldap();
  }
  own.daemon.emplace(arguments, std::move(settings), own.predecessor ? &*own.predecessor : nullptr,
                     *own.signals);
  try {
    at_place(place, [&] { drop_privileges(user); });
    forbid_core_dumps();
    return own.daemon->run();
  } catch (...) {
    own.daemon->abandon();
    throw;
  }
}

int run(const std::vector<std::string>& words, Process& own) {
  if (const HelpWish wish = wished_help(Command::kServe, words); wish != HelpWish::kNone) {
    std::printf("%s%s", kUsage, options_help(Command::kServe, wish).c_str());
    return EX_OK;
  }
  if (!words.empty() && words[0] == "--version") {
    std::fputs(version_text().c_str(), stdout);
    return EX_OK;
  }
  signal(SIGPIPE, SIG_IGN);  // for --status too
  signal(SIGXFSZ, SIG_IGN);  // a write over the limit fails with EFBIG instead
  return serve(words, own);
}

// What a person starts ends at once by any signal.
void prepare_signals(const std::vector<std::string>& words, Process& own) {
  for (const char* const task : {"--check", "--status", "--help", "--version"}) {
    if (contains(words, task)) {
      unblock_daemon_signals();
      return;
    }
  }
  limit_thread_memory();
  own.signals.emplace();
}

int guarded(const char* name, const std::vector<std::string>& words, Process& own) {
  try {
    if (std::string_view(name) == kCheckName) {
      unblock_daemon_signals();
      return check_all(words);
    }
    prepare_signals(words, own);
    own.predecessor = Predecessor::find();
    return run(words, own);
  } catch (const std::exception& error) {
    const bool is_mistake = dynamic_cast<const ConfigError*>(&error) != nullptr;
    const std::string why = is_mistake ? error.what() : shortage_text(error);
    if (!own.predecessor || !own.predecessor->fail(why)) {
      std::fprintf(stderr, "lmtpq: %s\n", why.c_str());
    }
    return own.signals && own.signals->stopped() ? EX_OK : is_mistake ? EX_CONFIG : EX_TEMPFAIL;
  }
}

}  // namespace
}  // namespace lmtpq::mailer

int main(int argc, char** argv) {
  lmtpq::block_daemon_signals();
  lmtpq::fill_standard_descriptors();
  lmtpq::mailer::Process process;
  const int status = lmtpq::status_of_output(
      "lmtpq", lmtpq::mailer::guarded(argv[0], {argv + 1, argv + argc}, process));
  // Sessions that could not be ended, and threads that dial stores, may still use the daemon:
  // _Exit() ends the process without destroying it.
  std::_Exit(status);
}

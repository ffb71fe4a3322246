// The daemon's program: `lmtpq serve` becomes it. It reads its settings, opens its sockets, gives
// up privileges, serves.

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <vector>

#include "common/privileges.h"
#include "common/secret.h"
#include "mailer/io/secure_loader.h"
#include "mailer/serve/daemon.h"
#include "mailer/serve/ldap/ldap_routes.h"
#include "mailer/serve/observe/status.h"
#include "mailer/settings/load.h"
#include "mailer/settings/secrets.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kUsage =
    "usage: lmtpq serve [options] --listen ADDRESS[,ADDRESS...] DEST...\n"
    "       lmtpq serve --check [options]\n"
    "       lmtpq serve --status [--json] [--control PATH]\n"
    "\n"
    "An LMTP server that keeps connections to the stores. SIGHUP reads the configuration, keys "
    "and\n"
    "certificates anew, SIGTERM lets the messages under way end.\n\n";

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kStack = 8 * 1024 * 1024;  // theirs stands on it too
#else
constexpr std::size_t kStack = 512 * 1024;
#endif

// A client's thread needs little of either; there may be thousands.
void be_frugal() {
  constexpr int kArenas = 4;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStack);
  pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
  mallopt(M_ARENA_MAX, kArenas);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

// As whom we should serve, so that a file which that user cannot read is found too.
int check(DaemonSettings settings) {
  read_secrets(settings);
  drop_privileges(settings.process.user);
  const Log log("lmtpq", "stderr", LogLevel::kWarning);
  DeliveryEvents meter;
  PoolRegistry book(log, meter);
  const std::size_t listeners = settings.listeners.size();
  const Configuration site(std::move(settings), book, log);
  std::printf("good: listeners %zu, stores %zu\n", listeners, book.all().size());
  return EX_OK;
}

int serve(const std::vector<std::string>& arguments) {
  DaemonSettings settings = load_daemon_settings(arguments);
  const Settings& process = settings.process;
  if (process.serve.status) {
    return run_status(process);
  }
  if (settings.listeners.empty()) {
    throw ConfigError("nothing to listen on; expected --listen ADDRESS, or [listener.NAME]");
  }
  if (process.serve.check) {
    return check(std::move(settings));
  }
  const std::string user = process.user;
  const std::string place = process.log;
  const LogLevel level = process.log_level;
  be_frugal();
  if (!process.routes.directory.uris.empty()) {
    secure_parts();  // its callbacks for libsasl2 are to count, not libldap's
    prepare_ldap();
  }
  Daemon& daemon = *new Daemon(arguments, std::move(settings));  // never destroyed, see there
  drop_privileges(user);
  forbid_core_dumps();
  const Log& log = *new Log("lmtpq", place, level);
  if (place.starts_with('/') && eaccess(place.c_str(), W_OK) != 0) {
    throw ConfigError("--log " + place + ": " + std::strerror(errno));
  }
  return daemon.run(log);
}

int run(const std::vector<std::string>& words) {
  if (!words.empty() && words[0] == "--help") {
    Settings settings;
    std::printf("%s%s", kUsage, Config(option_table(Command::kServe, settings)).help().c_str());
    return EX_OK;
  }
  if (!words.empty() && words[0] == "--version") {
    std::printf("lmtpq %s\n", LMTPQ_VERSION);
    return EX_OK;
  }
  signal(SIGPIPE, SIG_IGN);
  try {
    return serve(words);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lmtpq: %s\n", error.what());
    return EX_CONFIG;
  }
}

}  // namespace
}  // namespace lmtpq::mailer

// Threads of sessions that could not be ended may still run: nothing is torn down beneath them.
int main(int argc, char** argv) {
  const int status = lmtpq::mailer::run(std::vector<std::string>(argv + 1, argv + argc));
  std::fflush(stdout);
  std::_Exit(status);
}

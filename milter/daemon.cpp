#include "milter/daemon.h"

#include <sched.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include <exception>
#include <optional>

#include "common/descriptor.h"
#include "common/log/log.h"
#include "common/privileges.h"
#include "common/secret.h"
#include "milter/configuration_log.h"
#include "milter/libmilter_callbacks.h"
#include "milter/process/accepting.h"
#include "milter/process/daemonize.h"
#include "milter/process/libmilter_log.h"
#include "milter/process/listener.h"
#include "milter/process/pid_file.h"
#include "milter/process/signals.h"
#include "milter/process/socket_name.h"
#include "milter/shared_state.h"

namespace lmtpq::milter {
namespace {

// Out of memory after replace(): the new configuration is active, only lines about it are missing.
void reload(const std::vector<std::string>& arguments, const Settings& running,
            SharedState& state) noexcept {
  const Log& log = state.log();
  bool replaced = false;
  try {
    log.reopen();
    const LoadedConfiguration fresh = load_configuration(arguments);
    const ConfigurationPtr previous = state.configuration();
    state.replace(fresh.configuration);
    replaced = true;
    log_reload(fresh, *previous, running, log);
  } catch (const std::exception& error) {
    if (!replaced) {
      log_reload_failure(error.what(), log);
    }
  }
}

void wake(const SocketName& socket) noexcept {
  try {
    knock(socket);
  } catch (const std::exception&) {
    // libmilter then takes up to five seconds to stop.
  }
}

void restore(Listener& listener, const Log& log) noexcept {
  try {
    listener.restore(log);
  } catch (const std::exception&) {
    // Out of memory: a second later it is tried again.
  }
}

// Sendmail sends a message in a dozen pieces and would be preempted by the milter at each of them.
// A batch process waits until Sendmail waits for a reply, and then reads all pieces at once. This
// halves the cost of a message (docs/PERFORMANCE.md).
void use_batch_scheduling() {
  const sched_param none{};
  sched_setscheduler(0, SCHED_BATCH, &none);
}

}  // namespace

void run_daemon(const std::vector<std::string>& arguments, const LoadedConfiguration& loaded) {
  const Settings& settings = loaded.settings;
  const SocketName socket = SocketName::parse(settings.socket);
  raise_descriptor_limit();  // a session of the MTA needs one
  require_descriptors();
  signal(SIGXFSZ, SIG_IGN);  // a write over the limit fails with EFBIG instead
  signal(SIGUSR2, SIG_IGN);  // it is for lmtpq serve, whose name begins like this one's
  const OptionPlaces& places = settings.places;
  PidFile pid_file = at_place(places.of("pid-file"), [&] { return PidFile(settings.pid_file); });
  std::optional<Listener> listener;  // removes its file when the start fails
  std::optional<StartGuard> guard;
  guard.emplace([&] { pid_file.remove(); });
  at_place(places.of("socket"), [&] {
    listener.emplace(socket, settings.user);
    open_socket(listener->libmilters_name());
  });
  at_place(places.of("user"), [&] { drop_privileges(settings.user); });
  forbid_core_dumps();  // even without keys now: a reload may bring some
  guard.reset();
  const Launch launch = settings.foreground ? Launch::in_foreground() : Launch::into_background();
  guard.emplace([&] { pid_file.remove(); });
  use_batch_scheduling();
  const Log log("lmtpq-milter", settings.log, settings.log_level);
  take_libmilter_lines(log);
  SharedState state(loaded.configuration, log);
  log_start(loaded, log);
  if (!settings.user.empty()) {
    warn_of_unreadable_files(arguments, settings, log);
  }
  at_place(places.of("pid-file"), [&] { pid_file.write(); });
  launch.ready(settings.log == "stderr");
  on_no_descriptors([&log](std::size_t limit) {
    log.error(Record("descriptors-short")
                  .add("limit", static_cast<long long>(limit))
                  .add("effect", "new sessions of the MTA wait")
                  .add("remedy", "raise LimitNOFILE= of the unit (ulimit -n)"));
  });
  start_hangup_thread({.hangup = [&] { reload(arguments, settings, state); },
                       .second = [&] { restore(*listener, log); },
                       .stopping = [&] { wake(socket); }});
  guard.reset();
  const bool stopped = run_libmilter(state) || stopped_by() != 0;
  listener->close();
  pid_file.remove();
  if (stopped) {
    log.info(Record("stopped").add("signal", stopped_by() == SIGINT ? "INT" : "TERM"));
  } else {
    log.error(Record("libmilter-failed").add("remedy", "see event=libmilter before this line"));
  }
  log.flush();
  // libmilter's threads run until the process ends and use these objects: destroy nothing.
  _exit(stopped ? EX_OK : EX_SOFTWARE);
}

}  // namespace lmtpq::milter

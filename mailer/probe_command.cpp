// lmtpq probe: prints what probe() found.

#include <signal.h>
#include <sys/time.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "common/escape.h"
#include "mailer/commands.h"
#include "mailer/probe.h"

namespace lmtpq::mailer {
namespace {

struct Report {
  int status = EX_OK;
  std::string out;    // for standard output
  std::string error;  // for standard error
};

Report report_of(const ProbeResult& result, const Settings& settings) {
  Report made;
  made.status = exit_status(result);
  if (settings.probe.monitor) {
    const MonitorReport monitored = monitor(result, settings);
    made.status = monitored.status;
    made.out = monitored.line;
  } else if (settings.json) {
    made.out = to_json(result, settings.probe.recipient);
  } else {
    made.out = result.met() ? describe(result, settings.probe.recipient) : "";
    made.error = result.failure.empty() ? "" : "lmtpq: " + displayed(result.failure) + "\n";
  }
  return made;
}

const Report* late = nullptr;

void end_late(int /*signal*/) {
  for (const auto& [descriptor, text] :
       {std::pair(STDOUT_FILENO, &late->out), std::pair(STDERR_FILENO, &late->error)}) {
    if (write(descriptor, text->data(), text->size()) < 0) {
      break;
    }
  }
  _exit(late->status);
}

Report report_of_nothing(const Settings& settings) {
  ProbeResult result;
  result.timed_out = true;
  result.failure =
      settings.stores.front().destination.text + ": " + too_slow(settings.probe.timeout);
  return report_of(result, settings);
}

// Libraries that read files or ask other servers (Kerberos) know no deadline: a signal ends
// the process where the probe has not ended itself.
void limit_time(std::chrono::milliseconds timeout) {
  constexpr std::chrono::seconds kMargin{1};
  const std::chrono::milliseconds time = timeout + kMargin;
  itimerval timer{};
  timer.it_value.tv_sec = time.count() / 1000;
  timer.it_value.tv_usec = time.count() % 1000 * 1000;
  signal(SIGALRM, end_late);
  setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace

int run_probe(const Settings& settings, const Log& log) {
  if (!settings.probe.recipient.empty() && !Mailbox::parse(settings.probe.recipient)) {
    throw ConfigError("--rcpt: \"" + escaped(settings.probe.recipient) +
                      "\" is not an address; expected user or user@domain");
  }
  if (settings.probe.monitor && settings.json) {
    throw ConfigError("--monitor and --json: expected one of them");
  }
  const Report nothing = report_of_nothing(settings);
  late = &nothing;
  limit_time(settings.probe.timeout);
  SocketDialer dialer;
  const Report report = report_of(probe(settings, dialer, log), settings);
  signal(SIGALRM, SIG_IGN);
  std::fputs(report.out.c_str(), stdout);
  std::fputs(report.error.c_str(), stderr);
  return report.status;
}

int refuse_probe(const std::string& error, const std::vector<std::string>& arguments) {
  const auto has = [&](std::string_view option) {
    return std::find(arguments.begin(), arguments.end(), option) != arguments.end();
  };
  if (has("--monitor")) {
    const MonitorReport refused = monitor_error(error);
    std::fputs(refused.line.c_str(), stdout);
    return refused.status;
  }
  if (has("--json")) {
    ProbeResult result;
    result.failure = error;
    std::fputs(to_json(result, "").c_str(), stdout);
  } else {
    std::fprintf(stderr, "lmtpq: %s\n", error.c_str());
  }
  return EX_USAGE;
}

}  // namespace lmtpq::mailer

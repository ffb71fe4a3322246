// lmtpq probe: prints what probe() found.

#include <cstdio>

#include "common/escape.h"
#include "mailer/commands.h"
#include "mailer/probe.h"

namespace lmtpq::mailer {

int run_probe(const Settings& settings, const Log& log) {
  if (!settings.probe_recipient.empty() && !Mailbox::parse(settings.probe_recipient)) {
    throw ConfigError("--rcpt: \"" + escaped(settings.probe_recipient) +
                      "\" is not an address; expected user or user@domain");
  }
  SocketDialer dialer;
  const ProbeResult result = probe(settings, dialer, log);
  if (settings.json) {
    std::fputs(to_json(result, settings.probe_recipient).c_str(), stdout);
  } else if (result.met()) {
    std::fputs(describe(result, settings.probe_recipient).c_str(), stdout);
  }
  if (!settings.json && !result.failure.empty()) {
    std::fprintf(stderr, "lmtpq: %s\n", displayed(result.failure).c_str());
  }
  return exit_status(result);
}

void refuse_probe(const std::string& error, bool json) {
  if (json) {
    ProbeResult result;
    result.failure = error;
    std::fputs(to_json(result, "").c_str(), stdout);
  } else {
    std::fprintf(stderr, "lmtpq: %s\n", error.c_str());
  }
}

}  // namespace lmtpq::mailer

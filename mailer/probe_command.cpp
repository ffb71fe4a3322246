// lmtpq probe: prints what probe() found.

#include <sysexits.h>

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
  if (!settings.json && result.reached != ProbeResult::Reached::kStore) {
    std::fprintf(stderr, "lmtpq: %s\n", displayed(result.failure).c_str());
  }
  switch (result.reached) {
    case ProbeResult::Reached::kNothing:
      return EX_UNAVAILABLE;
    case ProbeResult::Reached::kProtocolError:
    case ProbeResult::Reached::kUnsecured:
      return EX_PROTOCOL;
    case ProbeResult::Reached::kStore:
      break;
  }
  const bool unanswered = result.recipient && !answered(result.recipient->reply);
  return unanswered || asks_for_login(result) ? EX_PROTOCOL : EX_OK;
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

// The ways in: each takes mail from somewhere and sends it down the one road.
//
// What it is: three functions, one per subcommand.
// What it does not know: options, privileges (main has settled both).
// Called by: main.
// Threads and lifetimes: each runs once, to the end of the process.
// Failure: the exit status, per sysexits(3).
#pragma once

#include <string>
#include <vector>

#include "common/log.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

// The protocol's own descriptors, taken off 0, 1 and 2 before anything else can write there: what
// a library prints must not become a reply (Sendmail joins standard error to the reply pipe).
struct StdioChannel {
  int in = -1;
  int out = -1;
};
StdioChannel take_stdio();

// LMTP server on the two descriptors, for Sendmail's F=z. 0 after QUIT or the end of input.
int run_relay(const Settings& settings, const Log& log, StdioChannel stdio);
// The same two descriptors when we are not fit to serve: one temporary reply that names the
// mistake.
void refuse_relay(StdioChannel stdio, const std::string& mistake);

// One message from standard input to the recipients; prints a line for each.
int run_deliver(const Settings& settings, const Log& log,
                const std::vector<std::string>& recipients);

// Says what a store offers, on standard output.
int run_probe(const Settings& settings, const Log& log);
// What run_probe() would print of a mistake in the settings.
void refuse_probe(const std::string& mistake, bool json);

}  // namespace lmtpq::mailer

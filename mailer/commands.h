// The subcommands that handle mail on standard input and output, or ask a store.
//
// main has read the settings and given up privileges before it calls one. Each runs once, on one
// thread, and returns the exit status (sysexits(3)).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/log/log.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

// The protocol's descriptors, moved away from 0, 1 and 2 before anything else can write there: text
// that a library prints must not become a reply (Sendmail joins standard error to the reply pipe).
struct StdioChannel {
  int in = -1;
  int out = -1;
  bool is_read = true;  // false: standard output is closed, or /dev/null
};
// std::runtime_error: no descriptor is free.
StdioChannel take_stdio();

// An LMTP server on the two descriptors, for Sendmail's F=z. 0 after QUIT or the end of input.
// Delivers nothing where nobody reads the replies.
int run_relay(const Settings& settings, const Log& log, StdioChannel stdio);
// In its place when lmtpq cannot serve: one temporary reply with the error.
void refuse_relay(StdioChannel stdio, const std::string& error);

// Delivers one message from standard input to the recipients; prints a line for each.
int run_deliver(const Settings& settings, const Log& log,
                const std::vector<std::string>& recipients);

// Checks Sendmail's files, if the arguments ask for that, and answers wishes for help; returns the
// exit status. nullopt: lmtpq-serve checks the configuration files.
std::optional<int> run_check(const std::vector<std::string>& arguments);

// Prints a key, makes the key file or changes the keys in it; returns the exit status.
int run_keygen(const std::vector<std::string>& arguments);

// lmtpq-serve by its names, argv[0]: the daemon, and the check of configurations.
inline constexpr const char* kServeName = "lmtpq-serve";
inline constexpr const char* kCheckName = "lmtpq-check";

// Prints what a store offers.
int run_probe(const Settings& settings, const Log& log);
// Prints an error of the settings in the form that the arguments ask for; returns the exit status.
int refuse_probe(const std::string& error, const std::vector<std::string>& arguments);

}  // namespace lmtpq::mailer

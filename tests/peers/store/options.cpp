#include "options.h"

#include <getopt.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace store {
namespace {

struct OptionRow {
  const char* name;
  const char* value;  // nullptr: takes none
  const char* help;
  void (*set)(Options& options, std::string_view value);
};

struct ExtensionRow {
  std::string_view keyword;
  bool Extensions::*offered;
};

constexpr ExtensionRow kExtensions[] = {
    {"8BITMIME", &Extensions::eight_bit_mime},
    {"ENHANCEDSTATUSCODES", &Extensions::enhanced_status_codes},
    {"PIPELINING", &Extensions::pipelining},
    {"SIZE", &Extensions::size},
    {"IGNOREQUOTA", &Extensions::ignore_quota},
    {"TRACE", &Extensions::trace},
};

std::uint64_t number(std::string_view text) {
  // Nothing here needs more, and what is signed elsewhere still holds it.
  constexpr std::uint64_t kLargest = std::uint64_t{1} << 62;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > kLargest) {
    throw UsageError("not a number: '" + std::string(text) + "'");
  }
  return value;
}

void set_quota(Options& options, std::string_view value) {
  const auto equals = value.find('=');
  if (equals == 0 || equals == std::string_view::npos) {
    throw UsageError("--quota wants USER=BYTES, not '" + std::string(value) + "'");
  }
  options.quotas[std::string(value.substr(0, equals))] = number(value.substr(equals + 1));
}

void set_over_quota(Options& options, std::string_view value) {
  if (value != "452" && value != "552") throw UsageError("--over-quota is 452 or 552");
  options.over_quota_is_permanent = value == "552";
}

void set_without(Options& options, std::string_view value) {
  for (const ExtensionRow& row : kExtensions) {
    if (row.keyword == value) {
      options.extensions.*row.offered = false;
      return;
    }
  }
  throw UsageError("--without knows no keyword '" + std::string(value) + "'");
}

// `number` keeps both within 64 bits, this keeps them within a clock's range.
long duration(std::string_view value) {
  const std::uint64_t count = number(value);
  if (count > 86'400'000) throw UsageError("too long a time: " + std::string(value));
  return static_cast<long>(count);
}

constexpr OptionRow kOptions[] = {
    {"listen", "ADDRESS", "unix:PATH or inet:HOST:PORT (port 0: any free one); may be repeated",
     [](Options& o, std::string_view v) { o.listen.emplace_back(v); }},
    {"dir", "DIR", "the mailboxes: each is a Maildir DIR/<local part>/",
     [](Options& o, std::string_view v) { o.directory = v; }},
    {"quota", "USER=BYTES", "a mailbox's quota; a file DIR/USER/quota goes before it", set_quota},
    {"over-quota", "CODE", "452 or 552: the reply for a full mailbox (default 452)",
     set_over_quota},
    {"max-message-size", "BYTES", "the largest message (default 0: any)",
     [](Options& o, std::string_view v) { o.max_message_size = number(v); }},
    {"without", "KEYWORD", "do without this LHLO keyword; may be repeated", set_without},
    {"no-dots-in-trace-ids", nullptr, "refuse trace ids with a dot, as Cyrus 3.13.1 to 3.13.4 do",
     [](Options& o, std::string_view) { o.dots_in_trace_ids = false; }},
    {"no-duplicate-suppression", nullptr, "file a message again that the mailbox already has",
     [](Options& o, std::string_view) { o.suppress_duplicates = false; }},
    {"delay-final", "MS", "wait before filing and answering each recipient after the dot",
     [](Options& o, std::string_view v) {
       o.delay_final = std::chrono::milliseconds(duration(v));
     }},
    {"idle-timeout", "SECONDS", "close a connection after this time without input (default 360)",
     [](Options& o, std::string_view v) { o.idle_timeout = std::chrono::seconds(duration(v)); }},
    {"log", "FILE", "append the log to this file (default: stderr)",
     [](Options& o, std::string_view v) { o.log_file = v; }},
    {"log-commands", nullptr, "log every command line",
     [](Options& o, std::string_view) { o.log_commands = true; }},
    {"pid-file", "FILE", "write the process id here",
     [](Options& o, std::string_view v) { o.pid_file = v; }},
    {"help", nullptr, "print this and exit", [](Options& o, std::string_view) { o.help = true; }},
};

}  // namespace

Options parse_options(int argc, char** argv) {
  std::vector<option> table;
  for (const OptionRow& row : kOptions) {
    table.push_back({row.name, row.value ? required_argument : no_argument, nullptr, 0});
  }
  table.push_back({nullptr, 0, nullptr, 0});

  Options options;
  int index = 0;
  for (int found; (found = getopt_long(argc, argv, "", table.data(), &index)) != -1;) {
    // getopt_long has already said on stderr what is wrong.
    if (found != 0) throw UsageError("see --help");
    kOptions[index].set(options, optarg ? optarg : "");
  }
  if (options.help) return options;
  if (optind < argc) throw UsageError(std::string("what is '") + argv[optind] + "'?");
  if (options.listen.empty()) throw UsageError("no --listen");
  if (options.directory.empty()) throw UsageError("no --dir");
  return options;
}

std::string help_text() {
  std::string text =
      "usage: store --listen ADDRESS --dir DIR [OPTION...]\n"
      "A small LMTP store for tests: speaks like Cyrus lmtpd, files into Maildirs.\n\n";
  for (const OptionRow& row : kOptions) {
    std::string left =
        std::string("  --") + row.name + (row.value ? "=" : "") + (row.value ? row.value : "");
    left.resize(std::max<std::size_t>(left.size() + 1, 30), ' ');
    text += left + row.help + "\n";
  }
  return text;
}

}  // namespace store

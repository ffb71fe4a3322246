#include "mailer/check/mailer_kind.h"

#include <algorithm>

#include "common/ascii.h"
#include "common/options/option_table.h"
#include "mailer/io/dialer.h"
#include "mailer/settings/load_settings.h"

namespace lmtpq::mailer {
namespace {

using std::chrono::seconds;

constexpr std::size_t kLongestGreeting = 1024;

bool is_network(const CfEntry& mailer) {
  const std::string program = mailer.field('P');
  return program == "[IPC]" || program == "[TCP]" || program == "[LPC]";
}

bool runs_lmtpq(const CfEntry& mailer) {
  const std::string program = mailer.field('P');
  const std::string arguments = mailer.field('A');
  return program.substr(program.rfind('/') + 1) == "lmtpq" ||
         arguments.substr(0, arguments.find_first_of(" \t")) == "lmtpq";
}

// As a DEST: Sendmail writes [NAME] to ask for no MX record, and [IPv6:ADDRESS].
std::string host_of(const std::string& word) {
  if (!word.starts_with('[') || word.find(']') != word.size() - 1) {
    return word;
  }
  const std::string inner = word.substr(1, word.size() - 2);
  if (has_phrase(inner.substr(0, 5), "ipv6:")) {
    return '[' + inner.substr(5) + ']';
  }
  return inner.find_first_not_of("0123456789.") == std::string::npos ? word : inner;
}

// The first line that a server sends; empty: it cannot be reached, or is silent.
std::string greeting_of(const Destination& destination) {
  const Deadline latest = Clock::now() + seconds(5);
  SocketDialer dialer;
  const Dialled dialled = dialer.dial(destination, seconds(5), Patience(latest));
  std::string got;
  std::string_view nothing;
  while (dialled.channel && got.find('\n') == std::string::npos && got.size() < kLongestGreeting &&
         dialled.channel->exchange(nothing, got, latest) == IoStatus::kProgress) {
  }
  return got.substr(0, got.find('\n'));
}

bool greets_as_lmtpq(const std::string& address) {
  try {
    return greeting_of(parse_destination(address)).find(" LMTP lmtpq") != std::string::npos;
  } catch (const ConfigError&) {
    return false;
  }
}

}  // namespace

std::vector<DaemonListener> listeners_of(const std::string& config) {
  Findings others;  // `lmtpq check` reports them
  std::vector<DaemonListener> made;
  others.attempt([&] {
    for (const ListenerSettings& one :
         load_daemon_settings({"--config=" + config}, &others).listeners) {
      made.push_back({one.address.text, one.settings.ignore_quota == IgnoreQuota::kAlways});
    }
  });
  return made;
}

std::optional<std::string> dialled_by(const CfEntry& mailer) {
  const std::vector<std::string> words = list_of(mailer.field('A'));
  if (!is_network(mailer) || words.size() < 2 || words[1].find('$') != std::string::npos) {
    return std::nullopt;
  }
  return words[0] == "FILE"
             ? "unix:" + words[1]
             : "inet:" + host_of(words[1]) + (words.size() > 2 ? ':' + words[2] : "");
}

MailerKind kind_of(const CfEntry& mailer, const std::vector<DaemonListener>& listeners) {
  if (!is_network(mailer)) {
    return runs_lmtpq(mailer) ? MailerKind::kProgram : MailerKind::kOther;
  }
  if (mailer.field('F').find('z') == std::string::npos) {
    return MailerKind::kNextHost;
  }
  const auto address = dialled_by(mailer);
  const bool known =
      address && std::any_of(listeners.begin(), listeners.end(),
                             [&](const DaemonListener& one) { return one.address == *address; });
  return known || (address && greets_as_lmtpq(*address)) ? MailerKind::kDaemon : MailerKind::kOther;
}

}  // namespace lmtpq::mailer

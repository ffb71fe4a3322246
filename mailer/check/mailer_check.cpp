#include "mailer/check/mailer_check.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>

#include "common/escape.h"
#include "common/options/option_table.h"
#include "common/privileges.h"
#include "mailer/check/effective_user.h"
#include "mailer/settings/load_settings.h"
#include "mailer/settings/secrets.h"

namespace lmtpq::mailer {
namespace {

struct FlagRule {
  char flag;
  bool wanted;
  const char* why;
};
constexpr FlagRule kOfLmtp[] = {
    {'z', true, "without it Sendmail does not speak LMTP"},
    {'X', true, "without it a line with a single dot ends the message"},
    {'n', true, "without it Sendmail puts a From line in front of the header"}};
constexpr FlagRule kOfPrograms[] = {
    {'l', true, "without it mail bounces when the program cannot be run"},
    {'f', false, "with it Sendmail adds -f to the arguments of lmtpq"},
    {'r', false, "with it Sendmail adds -r to the arguments of lmtpq"}};
// They change the message, and nothing else.
constexpr FlagRule kThatChangeMail[] = {
    {'E', false, "with it lines of the message that begin with From are changed"},
    {'L', false, "with it lines of the message are cut"},
    {'7', false, "with it the message loses its eighth bits"}};

constexpr std::string_view kBlanks = " \t";

using Report = std::function<void(const std::string&)>;

template <std::size_t N>
void check_flags(const std::string& flags, const FlagRule (&rules)[N], const Report& report) {
  for (const FlagRule& rule : rules) {
    const bool has = flags.find(rule.flag) != std::string::npos;
    if (has != rule.wanted) {
      report("F= " + std::string(rule.wanted ? "lacks " : "has ") + rule.flag + ": " + rule.why +
             (rule.wanted ? "; add it" : "; remove it"));
    }
  }
}

struct Identity {
  uid_t user;
  gid_t group;
};

bool is_name_end(char c) { return c == ':' || c == '.' || c == ',' || c == ' ' || c == '\t'; }

// nullopt: it is a name.
template <typename Number>
std::optional<Number> number_of(const std::string& word) {
  Number made{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), made);
  return error == std::errc() && end == word.data() + word.size() ? std::optional(made)
                                                                  : std::nullopt;
}

// USER, USER:GROUP or numbers, as Sendmail reads U=.
Identity identity_of(const std::string& text) {
  const auto end = std::find_if(text.begin(), text.end(), is_name_end);
  const std::string user(text.begin(), end);
  const std::string group(std::find_if_not(end, text.end(), is_name_end), text.end());
  Identity made{0, 0};
  if (const auto number = number_of<uid_t>(user)) {
    made.user = *number;
  } else if (const passwd* const entry = getpwnam(user.c_str())) {
    made = {entry->pw_uid, entry->pw_gid};
  } else {
    throw ConfigError("U=" + escaped(text) + ": no such user on this system; create it, or set " +
                      "LMTPQ_MAILER_USER in the .mc");
  }
  if (const auto number = number_of<gid_t>(group)) {
    made.group = *number;
  } else if (const struct group* const entry = getgrnam(group.c_str()); entry != nullptr) {
    made.group = entry->gr_gid;
  } else if (!group.empty()) {
    throw ConfigError("U=" + escaped(text) + ": no such group on this system; create it, or set " +
                      "LMTPQ_MAILER_USER in the .mc");
  }
  return made;
}

void check_program(const std::string& path) {
  const std::string shown = "P=" + escaped(path) + ": ";
  struct stat facts {};
  if (!path.starts_with('/')) {
    throw ConfigError(shown +
                      "Sendmail runs its mailers in the queue's folder; name an absolute path");
  }
  if (stat(path.c_str(), &facts) != 0) {
    throw ConfigError(shown + error_as_user(errno) +
                      "; install lmtpq there, or set LMTPQ_MAILER_PATH in the .mc");
  }
  if (!S_ISREG(facts.st_mode) || eaccess(path.c_str(), X_OK) != 0) {
    throw ConfigError(shown + error_as_user(S_ISREG(facts.st_mode) ? errno : EACCES) +
                      "; it must be a program that this user may run");
  }
}

// $h, ${name} and $&h have values only when there is mail: any word takes their place.
std::string without_macros(const std::string& text) {
  std::string made;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '$' || at + 1 == text.size()) {
      made += text[at];
      continue;
    }
    at += text[at + 1] == '&' && at + 2 < text.size() ? 2 : 1;
    if (text[at] == '{') {
      at = std::min(text.find('}', at), text.size() - 1);
    }
    made += 'x';
  }
  return made;
}

bool has_recipients(const std::string& arguments) {
  return arguments.find("$u") != std::string::npos || arguments.find("${u}") != std::string::npos ||
         arguments.find("$&u") != std::string::npos;
}

// Reads what lmtpq reads when Sendmail starts it.
void check_start(Command command, const std::vector<std::string>& arguments) {
  Settings settings;
  load_settings(command, arguments, settings);
  read_secrets(command, settings);
}

void check_command(const CfEntry& mailer) {
  const std::string text = mailer.field('A');
  std::vector<std::string> words = list_of(without_macros(text), kBlanks);
  const std::string command = words.size() > 1 ? words[1] : "";
  const bool lmtp = mailer.field('F').find('z') != std::string::npos;
  if (command != "relay" && command != "deliver") {
    throw ConfigError("A=" + escaped(text) + ": expected lmtpq relay or lmtpq deliver");
  }
  if (command == "relay" && has_recipients(text)) {
    throw ConfigError(
        "A= has $u: Sendmail then ignores F=z; lmtpq relay gets its recipients by LMTP");
  }
  if (command == "deliver" && lmtp) {
    throw ConfigError(
        "A= runs lmtpq deliver, and F= has z: Sendmail would speak LMTP to it; use "
        "lmtpq relay");
  }
  words.erase(words.begin(), words.begin() + 2);
  at_place("A=lmtpq " + command,
           [&] { check_start(command == "relay" ? Command::kRelay : Command::kDeliver, words); });
  if (command == "relay" && text.find('$') != std::string::npos &&
      (mailer.field('m') != "1" || mailer.field('r') != "1")) {
    throw ConfigError(
        "A= has a macro, which Sendmail expands once for a process: mail of other hosts "
        "would go to the first one; it needs m=1, r=1");
  }
}

void check_program_mailer(const CfEntry& mailer, CfFindings& findings) {
  const auto attempt = [&](const std::function<void()>& action) {
    try {
      action();
    } catch (const ConfigError& error) {
      findings.error(mailer.number, mailer.name + ": " + error.what());
    }
  };
  attempt([&] {
    std::optional<AsEffectiveUser> user;
    if (mailer.has('U')) {
      const Identity identity = identity_of(mailer.field('U'));
      user.emplace(identity.user, identity.group);
      if (geteuid() != identity.user) {
        findings.warning(mailer.number, mailer.name + ": checked as user " + user_name(geteuid()) +
                                            ", not as that of U=; run the check as root");
      }
    }
    attempt([&] { check_program(mailer.field('P')); });
    attempt([&] { check_command(mailer); });
  });
  if (mailer.has('U') && mailer.field('F').find('S') == std::string::npos) {
    findings.warning(mailer.number,
                     mailer.name + ": F= lacks S: without it U= has no effect; add it");
  }
}

void check_daemon_mailer(const CfEntry& mailer, const std::vector<DaemonListener>& listeners,
                         CfFindings& findings) {
  const bool wants = mailer.field('F').find('Q') != std::string::npos;
  for (const DaemonListener& one : listeners) {
    if (one.address == dialled_by(mailer) && one.ignores_quota != wants) {
      findings.warning(mailer.number,
                       mailer.name + ": its listener " + one.address +
                           (wants ? " does not ignore" : " ignores") +
                           " every quota, and F= " + (wants ? "has" : "lacks") +
                           " Q; set ignore-quota of the listener, or dial another one");
    }
  }
}

}  // namespace

void check_mailer(const CfEntry& mailer, MailerKind kind,
                  const std::vector<DaemonListener>& listeners, CfFindings& findings) {
  const std::string flags = mailer.field('F');
  const auto error = [&](const std::string& text) {
    findings.error(mailer.number, mailer.name + ": " + text);
  };
  const std::vector<std::string> words = list_of(mailer.field('A'), kBlanks);
  if (kind == MailerKind::kDaemon || words.size() < 2 || words[1] != "deliver") {
    check_flags(flags, kOfLmtp, error);
  }
  check_flags(flags, kThatChangeMail, [&](const std::string& text) {
    findings.warning(mailer.number, mailer.name + ": " + text);
  });
  if (kind == MailerKind::kDaemon) {
    check_daemon_mailer(mailer, listeners, findings);
  } else {
    check_flags(flags, kOfPrograms, error);
    check_program_mailer(mailer, findings);
  }
}

}  // namespace lmtpq::mailer

#include "mailer/check/cf_check.h"

#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>

#include "common/descriptor.h"
#include "common/escape.h"
#include "common/privileges.h"
#include "mailer/check/cf_findings.h"
#include "mailer/check/mailer_check.h"
#include "mailer/check/milter_check.h"
#include "mailer/check/sendmail_cf.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kLargest = 1024 * 1024;  // m4 makes less than a tenth of it

struct KnownMailer {
  const CfEntry* entry;
  MailerKind kind;
  bool removes_tags() const { return kind == MailerKind::kProgram || kind == MailerKind::kDaemon; }
};
using KnownMailers = std::vector<KnownMailer>;

std::string read_cf(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  std::string made;
  std::array<char, 64 * 1024> piece{};
  ssize_t got = file.valid() ? 1 : -1;
  while (got > 0 && made.size() <= kLargest) {
    got = read(file.number(), piece.data(), piece.size());
    made.append(piece.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  }
  if (got < 0) {
    throw ConfigError(error_as_user(errno) + "; name the sendmail.cf that m4 has made");
  }
  if (made.size() > kLargest) {
    throw ConfigError("larger than 1 MiB; name the sendmail.cf that m4 has made");
  }
  return made;
}

const KnownMailer* find(const KnownMailers& mailers, const CfEntry* entry) {
  const auto found = std::find_if(mailers.begin(), mailers.end(),
                                  [&](const KnownMailer& one) { return one.entry == entry; });
  return found == mailers.end() ? nullptr : &*found;
}

bool any(const KnownMailers& mailers, bool (*test)(const KnownMailer&)) {
  return std::any_of(mailers.begin(), mailers.end(), test);
}

// Each mailer once, by the rule for local users if that names it, otherwise by the first.
std::map<std::string, const CfTarget*> undefined_targets(const SendmailCf& cf) {
  std::map<std::string, const CfTarget*> made;
  for (const CfTarget& target : cf.targets) {
    const auto found = made.find(target.mailer);
    if (found != made.end()) {
      found->second = target.is_local ? &target : found->second;
    } else if (cf.mailer(target.mailer) == nullptr) {
      made.emplace(target.mailer, &target);
    }
  }
  return made;
}

void check_lines(const SendmailCf& cf, CfFindings& findings) {
  for (const CfLine& line : cf.refused) {
    findings.error(line.number,
                   '"' + escaped(line.text.substr(0, 100)) +
                       "\": Sendmail does not start with this line; correct the .mc, and " +
                       "see what m4 says");
  }
  for (const auto& [name, target] : undefined_targets(cf)) {
    findings.error(target->number,
                   std::string(target->is_local ? "mail for local users" : "mail") +
                       " goes to the mailer " + escaped(name) +
                       ", which is not defined: it bounces; define it, and see whether m4 found "
                       "the file of its MAILER");
  }
}

// What has a tag when it comes out of the milter must meet a mailer that removes it.
void check_tags(const CfEntry& milter, const MilterFacts& facts, const KnownMailers& mailers,
                CfFindings& findings) {
  bool next_host = false;
  for (const KnownMailer& one : mailers) {
    const CfEntry& mailer = *one.entry;
    if (one.removes_tags() || !has_word(facts.tag_mailers, mailer.name)) {
      continue;
    }
    if (one.kind == MailerKind::kNextHost) {
      next_host = true;
      findings.warning(mailer.number, mailer.name +
                                          ": mail leaves this host with tags; the next host must "
                                          "deliver it by lmtpq");
    } else {
      const auto address = dialled_by(mailer);
      findings.error(
          mailer.number,
          mailer.name +
              ": mail for it gets a tag from the milter, and it does not run lmtpq, "
              "which removes tags: " +
              (address ? escaped(*address) + " is no listener of lmtpq.conf, nor does the "
                                             "daemon greet there"
                       : "P=" + escaped(mailer.field('P'))) +
              "; use MAILER(lmtpq), or drop FEATURE(lmtpq_milter) first");
    }
  }
  if (!next_host && !any(mailers, [](const KnownMailer& m) { return m.removes_tags(); })) {
    findings.error(milter.number, "milter " + milter.name +
                                      " writes tags, and no mailer removes them: add "
                                      "MAILER(lmtpq) to the .mc, or drop "
                                      "FEATURE(lmtpq_milter)");
  }
}

void check_mailers(const SendmailCf& cf, const KnownMailers& mailers,
                   const std::vector<DaemonListener>& listeners, CfFindings& findings) {
  for (const KnownMailer& one : mailers) {
    if (one.removes_tags()) {
      check_mailer(*one.entry, one.kind, listeners, findings);
    }
  }
  if (!any(mailers, [](const KnownMailer& m) { return m.removes_tags(); })) {
    findings.error(
        0,
        "no mailer runs lmtpq or dials its daemon; add MAILER(lmtpq) to the .mc, and see "
        "whether m4 found its file");
    return;
  }
  const bool named = std::any_of(cf.targets.begin(), cf.targets.end(), [&](const CfTarget& target) {
    const KnownMailer* const mailer = find(mailers, cf.mailer(target.mailer));
    return mailer != nullptr && mailer->removes_tags();
  });
  if (!named && !cf.has_mailertable) {
    findings.warning(
        0, "no rule and no mailertable gives mail to lmtpq; set confLOCAL_MAILER in the .mc");
  }
}

std::string shown(const KnownMailer& mailer) {
  const CfEntry& entry = *mailer.entry;
  std::string text = mailer.kind == MailerKind::kProgram || mailer.kind == MailerKind::kDaemon
                         ? ""
                         : "not lmtpq: ";
  text += entry.field('P').starts_with('[') ? entry.field('P') + ' ' : "";
  return entry.name + " (" + text + escaped(entry.field('A')) + ')';
}

// What the .cf does.
std::string summary(const SendmailCf& cf, const CfEntry* milter, const KnownMailers& mailers) {
  const CfTarget* const local = cf.local_target();
  const KnownMailer* const mailer =
      local == nullptr ? nullptr : find(mailers, cf.mailer(local->mailer));
  std::string made = "mail for local users goes to ";
  made += mailer != nullptr  ? shown(*mailer)
          : local != nullptr ? escaped(local->mailer) + " (not defined)"
                             : "no mailer";
  for (const KnownMailer& one : mailers) {
    if (one.removes_tags() && &one != mailer) {
      made += ", other mail can go to " + shown(one);
    }
  }
  if (milter == nullptr) {
    return made + ", no milter writes tags";
  }
  const std::string flag = milter->field('F');
  return made + ", milter " + milter->name + " at " + escaped(milter->field('S')) +
         (flag.empty() ? "" : " with F=" + escaped(flag));
}

std::string check(const CfCheck& wanted, CfFindings& findings) {
  const SendmailCf cf = SendmailCf::parse(read_cf(wanted.file));
  const std::vector<DaemonListener> listeners = listeners_of(wanted.config);
  const MilterFacts facts = milter_facts(wanted.milter_config);
  const CfEntry* const milter = find_milter(cf, facts);
  KnownMailers mailers;
  for (const CfEntry& one : cf.mailers) {
    mailers.push_back({&one, kind_of(one, listeners)});
  }
  check_lines(cf, findings);
  check_mailers(cf, mailers, listeners, findings);
  if (milter != nullptr) {
    check_tags(*milter, facts, mailers, findings);
    check_milter_line(cf, *milter, findings);
  }
  return summary(cf, milter, mailers);
}

}  // namespace

int check_cf(const CfCheck& wanted) {
  CfFindings findings(wanted.file);
  std::string does;
  try {
    does = check(wanted, findings) + "; ";
  } catch (const ConfigError& error) {
    findings.error(0, error.what());
  }
  for (const std::string& line : findings.lines()) {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::printf("%s: %s%s\n", wanted.file.c_str(), does.c_str(), findings.summary().c_str());
  return findings.any_error() ? EX_CONFIG : EX_OK;
}

}  // namespace lmtpq::mailer

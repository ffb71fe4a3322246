#include "mailer/check/milter_check.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/ascii.h"
#include "common/escape.h"
#include "common/network/unix_socket.h"
#include "common/options/option_table.h"
#include "common/tag/milter_defaults.h"
#include "mailer/io/dialer.h"

namespace lmtpq::mailer {
namespace {

using std::chrono::seconds;

constexpr std::string_view kFilters = "InputMailFilters";

// cf/feature/lmtpq_milter.m4 asks for the same.
constexpr std::pair<const char*, const char*> kMacros[] = {
    {"Milter.macros.connect", "{client_addr}"},
    {"Milter.macros.envfrom", "i {auth_authen} {verify} {cert_subject} {client_addr}"},
    {"Milter.macros.envrcpt", "{rcpt_mailer} {rcpt_addr}"},
    {"Milter.macros.eom", "i {msg_size}"}};

// unix:PATH without the prefix, which Sendmail does not need; empty: another kind of socket.
std::string path_of(const std::string& socket) {
  for (const std::string_view prefix : {"unix:", "local:"}) {
    if (socket.starts_with(prefix)) {
      return socket.substr(prefix.size());
    }
  }
  return socket.starts_with('/') ? socket : "";
}

bool same_socket(const std::string& one, const std::string& other) {
  const std::string path = path_of(one);
  return path.empty() ? one == other : path == path_of(other);
}

// Why nobody can be reached there; empty: somebody can.
std::string failure_at(const std::string& socket) {
  const std::string path = path_of(socket);
  if (!path.empty()) {
    const int error = knock_at(path);
    return error == 0 ? "" : std::strerror(error);
  }
  const std::size_t colon = socket.find(':');
  const std::size_t at = socket.find('@');
  if (!socket.starts_with("inet") || colon == std::string::npos || at == std::string::npos ||
      at < colon) {
    return "expected unix:PATH, inet:PORT@HOST or inet6:PORT@HOST";
  }
  std::string host = socket.substr(at + 1);
  if (host.find(':') != std::string::npos && !host.starts_with('[')) {
    host = '[' + host + ']';
  }
  try {
    SocketDialer dialer;
    return dialer
        .dial(parse_destination("inet:" + host + ':' + socket.substr(colon + 1, at - colon - 1)),
              seconds(5), Patience(Clock::now() + seconds(5)))
        .failure;
  } catch (const ConfigError& error) {
    return error.what();
  }
}

// The list of filters of a daemon: InputMailFilters=, of which the first letter counts. nullopt: it
// has none, and asks those of the option.
std::optional<std::string> filters_of(const CfOption& daemon) {
  for (const std::string& word : list_of(daemon.value)) {
    if ((word[0] == 'I' || word[0] == 'i') && word.find('=') != std::string::npos) {
      return word.substr(word.find('=') + 1);
    }
  }
  return std::nullopt;
}

void check_lists(const SendmailCf& cf, const CfEntry& milter, CfFindings& findings) {
  const CfOption* const all = cf.option(kFilters);
  const bool for_all = all != nullptr && has_word(all->value, milter.name);
  bool anywhere = for_all;
  for (const CfOption& option : cf.options) {
    if (same_word(option.name, "DaemonPortOptions")) {
      const auto own = filters_of(option);
      const bool asks = own ? has_word(*own, milter.name) : for_all;
      anywhere = anywhere || asks;
      if (!asks && own) {
        findings.warning(option.number,
                         "mail to this daemon gets no tag: its list of filters has no " +
                             milter.name + "; add it to InputMailFilters=");
      }
    }
  }
  if (!anywhere) {
    findings.error(milter.number, "milter " + milter.name +
                                      " is asked for no mail: no list of filters " +
                                      "has it; add it to confINPUT_MAIL_FILTERS in the .mc");
  } else if (!for_all) {
    findings.warning(milter.number, "milter " + milter.name +
                                        " is asked for the mail of some daemons " +
                                        "only: it is not in the option InputMailFilters");
  }
}

void check_failure(const CfEntry& milter, CfFindings& findings) {
  const std::string flag = milter.field('F');
  if (flag == "T" || flag == "4") {
    return;
  }
  const std::string who = "milter " + milter.name + ": ";
  if (flag.empty()) {
    findings.warning(milter.number,
                     who +
                         "no F=: while the milter is down, mail passes without a tag and "
                         "its quota is honoured; F=T lets clients try again");
  } else if (flag == "R") {
    findings.error(milter.number,
                   who + "F=R: mail bounces while the milter is down; write F=T, or no F=");
  } else {
    findings.error(milter.number, who + "F=" + escaped(flag) + ": expected T or 4");
  }
}

void check_macros(const SendmailCf& cf, const CfEntry& milter, CfFindings& findings) {
  for (const auto& [name, needed] : kMacros) {
    const CfOption* const option = cf.option(name);
    std::string missing;
    for (const std::string& macro : list_of(needed)) {
      if (option == nullptr || !has_word(option->value, macro)) {
        missing += (missing.empty() ? "" : ", ") + macro;
      }
    }
    if (!missing.empty()) {
      findings.warning(option == nullptr ? milter.number : option->number,
                       std::string(name) + " lacks " + missing +
                           ": rules about them may match nothing; FEATURE(lmtpq_milter) adds them");
    }
  }
}

}  // namespace

MilterFacts milter_facts(const std::string& file) {
  MilterFacts made;
  Findings others;  // lmtpq-milter --check reports them
  OptionReader options(
      {value("socket", "SOCKET", kMilterSocket, "", reader::text(made.socket)),
       value("tag-mailers", "NAMES", kTagMailers, "", reader::text(made.tag_mailers))});
  options.collect_errors(&others);
  others.attempt([&] { options.take_file(file, false); });
  options.apply();
  return made;
}

const CfEntry* find_milter(const SendmailCf& cf, const MilterFacts& facts) {
  const auto found = std::find_if(cf.filters.begin(), cf.filters.end(), [&](const CfEntry& filter) {
    return filter.name == "lmtpq" || same_socket(filter.field('S'), facts.socket);
  });
  return found == cf.filters.end() ? nullptr : &*found;
}

void check_milter_line(const SendmailCf& cf, const CfEntry& milter, CfFindings& findings) {
  check_lists(cf, milter, findings);
  check_failure(milter, findings);
  check_macros(cf, milter, findings);
  const std::string socket = milter.field('S');
  const std::string failure = failure_at(socket);
  if (!failure.empty()) {
    findings.warning(milter.number,
                     "milter " + milter.name + ": nobody can be reached at S=" + escaped(socket) +
                         ": " + failure + "; start lmtpq-milter, or correct SOCKET of the FEATURE");
  }
}

}  // namespace lmtpq::mailer

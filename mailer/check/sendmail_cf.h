// What a sendmail.cf says of mailers, milters and where mail goes.
//
// Reads text only: the rulesets are not run. A pure function of the text; any bytes are taken.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "mailer/check/cf_lines.h"

namespace lmtpq::mailer {

// `O NAME=VALUE`.
struct CfOption {
  std::size_t number = 0;
  std::string name;
  std::string value;
};

// A rule that gives mail to a mailer: `R... $#MAILER [$@ host] $: user`.
struct CfTarget {
  std::size_t number = 0;
  std::string mailer;
  bool is_local = false;  // the rule for local users that proto.m4 writes
};

struct SendmailCf {
  static SendmailCf parse(std::string_view text);

  // nullptr: there is none of this name.
  const CfEntry* mailer(std::string_view name) const;
  // The last one of this name, which counts. nullptr: there is none.
  const CfOption* option(std::string_view name) const;
  // nullptr: no rule of the usual form.
  const CfTarget* local_target() const;

  std::vector<CfEntry> mailers;
  std::vector<CfEntry> filters;
  std::vector<CfOption> options;
  std::vector<CfTarget> targets;
  std::vector<CfLine> refused;  // lines that Sendmail does not know, such as an error of m4
  bool has_mailertable = false;
};

// Whether `word` is in a list of milters or macros: separated by commas, semicolons or blanks.
bool has_word(std::string_view list, std::string_view word);

}  // namespace lmtpq::mailer

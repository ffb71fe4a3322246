// Checks what a sendmail.cf says of lmtpq-milter: its X line, who asks it, and what Sendmail tells
// it.
//
// Connects to the milter's socket, and says nothing there. Used by one thread.
#pragma once

#include <string>

#include "mailer/check/cf_findings.h"
#include "mailer/check/sendmail_cf.h"

namespace lmtpq::mailer {

// What lmtpq-milter's own file says, or its defaults.
struct MilterFacts {
  std::string socket;
  std::string tag_mailers;
};
// Of this milter.conf, which may be missing.
MilterFacts milter_facts(const std::string& file);

// The X line of lmtpq-milter: its name is lmtpq, or its socket is that of the milter. nullptr:
// none.
const CfEntry* find_milter(const SendmailCf& cf, const MilterFacts& facts);

void check_milter_line(const SendmailCf& cf, const CfEntry& milter, CfFindings& findings);

}  // namespace lmtpq::mailer

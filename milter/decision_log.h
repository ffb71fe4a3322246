// The log line of each message: what was decided, and why.
#pragma once

#include "common/log/log.h"
#include "milter/message.h"

namespace lmtpq::milter {

// How the tag of a message came out.
struct Tagging {
  const char* missing;           // why the message gets no tag; nullptr: it gets one
  bool cleaned = true;           // the MTA removed the tags that came with the message
  bool written = false;          // the MTA took the edits
  long long unlisted = 0;        // recipients for which the tag's list had no room
  long long without_policy = 0;  // the same for the list of over-quota policies
};

// Recipients whose quota the verdict ignores.
long long ignoring(const Verdict& verdict);
// Recipients whose over-quota policy a rule decides.
long long with_policy(const Verdict& verdict);

void log_decision(const Log& log, const Message& message, const Verdict& verdict,
                  const TraceId& trace, const Tagging& tagging);

}  // namespace lmtpq::milter

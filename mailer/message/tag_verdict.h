// Which of a message's tags is believed, and why the others are not.
//
// What it is: the rule of the mailer: one valid tag, and no second valid one.
// What it does not know: what follows from a tag (progress), the log.
// Called by: MessageState, once a message.
// Threads and lifetimes: a pure function; a verdict refers to the keyring.
// Failure: none; a tag that is not believed costs the message nothing but its privilege.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/tag/keyring.h"
#include "common/tag/tag.h"
#include "common/tag/trace_id.h"
#include "mailer/message/mail_data.h"

namespace lmtpq::mailer {

struct RejectedTag {
  TagFault fault;
  std::string key;  // that it names
};

struct TagVerdict {
  std::optional<Tag> valid;
  std::vector<RejectedTag> rejected;
  std::size_t unread = 0;  // tags beyond those that were looked at; then none is believed
};

TagVerdict judge_tags(const MailData& data, const TraceId& queue_id, const Keyring& keys,
                      std::int64_t now);

}  // namespace lmtpq::mailer

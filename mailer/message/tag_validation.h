// Decides which of a message's tags is valid, and why the others are rejected.
//
// A tag counts only if no other tag of the message is valid. A rejected tag costs the message its
// quota exemption and nothing more. The verdict refers to the keyring.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/tag/keyring.h"
#include "common/tag/tag_format.h"
#include "common/tag/trace_id.h"
#include "mailer/message/mail_data.h"

namespace lmtpq::mailer {

struct RejectedTag {
  TagFault fault;
  std::string key;  // the id of the key that it names
};

struct TagVerdict {
  std::optional<Tag> valid;
  std::vector<RejectedTag> rejected;
  std::size_t unread = 0;  // tags that were not examined as there are too many; then none is valid
};

TagVerdict judge_tags(const MailData& data, const TraceId& queue_id, const Keyring& keys,
                      std::int64_t now);

}  // namespace lmtpq::mailer

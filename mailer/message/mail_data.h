// The mail data of one transaction (RFC 5321 section 3.3): the message, and the tags it came with.
//
// What it is: a Body behind a TagFilter. No tag of any message, believed or not, gets to a store.
// What it does not know: what the tags say (tag_verdict), where the bytes come from.
// Called by: the fronts append, delivery reads.
// Threads and lifetimes: one message, one thread.
// Failure: as of Body.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mailer/message/body.h"
#include "mailer/message/tag_filter.h"

namespace lmtpq::mailer {

class MailData {
 public:
  MailData(std::string spool_dir, std::optional<std::uint64_t> max_size)
      : body_(std::move(spool_dir), max_size) {}

  void append(std::string_view bytes);  // canonical ones
  void finish();                        // that was the whole message

  const Body& body() const { return body_; }
  const TagFilter& tags() const { return filter_; }

 private:
  TagFilter filter_;
  Body body_;
  std::string kept_;
};

}  // namespace lmtpq::mailer

// The mail data of one transaction (RFC 5321 section 3.3): the message, and the tags it came with.
//
// A MessageSpool after a TagFilter: no tag is ever sent to a store, valid or not. Fails as
// MessageSpool does. One message, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mailer/message/message_spool.h"
#include "mailer/message/tag_filter.h"

namespace lmtpq::mailer {

class MailData {
 public:
  MailData(std::string spool_dir, std::optional<std::uint64_t> max_size)
      : body_(std::move(spool_dir), max_size) {}

  void append(std::string_view bytes);  // canonical (CRLF line ends)
  void finish();                        // the message is complete

  const MessageSpool& body() const { return body_; }
  const TagFilter& tags() const { return filter_; }

 private:
  TagFilter filter_;
  MessageSpool body_;
  std::string kept_;
};

}  // namespace lmtpq::mailer

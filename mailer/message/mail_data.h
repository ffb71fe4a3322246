// The mail data of one transaction (RFC 5321 section 3.3): the message, and the tags it came with.
//
// A MessageSpool after a TagFilter: no tag is ever sent to a store, valid or not. Fails as
// MessageSpool does. One message, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mailer/lines/text_rules.h"
#include "mailer/message/message_spool.h"
#include "mailer/message/tag_filter.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

TextRules text_rules(const Settings& settings);

class MailData {
 public:
  MailData(std::string spool_dir, std::optional<std::uint64_t> max_size,
           MemoryShare* memory = nullptr)
      : body_(std::move(spool_dir), max_size, memory) {}

  void append(std::string_view bytes);  // canonical (CRLF line ends)
  // The message is complete; `text` is about its bytes before they were canonical.
  void finish(const TextReport& text = {});

  const MessageSpool& body() const { return body_; }
  const TagFilter& tags() const { return filter_; }
  const TextReport& text() const { return text_; }

 private:
  TagFilter filter_;
  MessageSpool body_;
  std::string kept_;
  TextReport text_;
};

}  // namespace lmtpq::mailer

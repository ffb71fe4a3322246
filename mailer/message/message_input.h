// A message from standard input, as scripts hand it in: its bytes become MailData.
//
// The lines may have any line ends. A line that begins with `From ` or `>From ` at the very top is
// dropped up to its LF, as sendmail(8) does: it separates the messages of an mbox file, is no
// header field, and stores refuse it or file it in the header. It is the top once NULs are
// stripped, if they are. Without an LF within the line limit it is no such line, so that a message
// with other line ends is not dropped as a whole. One message, one thread; fails as MailData does.
#pragma once

#include <string>
#include <string_view>

#include "mailer/lines/canonical_lines.h"
#include "mailer/lmtp/envelope.h"
#include "mailer/message/mail_data.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

class MessageInput {
 public:
  explicit MessageInput(const Settings& settings)
      : rules_(text_rules(settings)),
        canonical_(rules_),
        data_(settings.spool_dir, settings.max_message_size) {}

  void append(std::string_view bytes);
  void finish();  // the input has ended

  const MailData& data() const { return data_; }
  // For MAIL, of the finished message: 8BITMIME only if what is sent needs it. Reads the message.
  BodyType body_type() const;

 private:
  void take_top(char c);
  void pass(std::string_view bytes);

  TextRules rules_;
  bool at_top_ = true;
  std::string held_;  // the top, while it may be an mbox line
  CanonicalLines canonical_;
  MailData data_;
  std::string made_;
};

}  // namespace lmtpq::mailer

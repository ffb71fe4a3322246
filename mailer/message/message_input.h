// A message from standard input, as scripts hand it in: its bytes become MailData.
//
// The lines may have any line ends. A line that begins with `From ` or `>From ` at the very top is
// dropped with its line end, as sendmail(8) does: it separates the messages of an mbox file, is no
// header field, and stores refuse it or file it in the header. One message, one thread; fails as
// MailData does.
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
      : canonical_(text_rules(settings)), data_(settings.spool_dir, settings.max_message_size) {}

  void append(std::string_view bytes);
  void finish();  // the input has ended

  const MailData& data() const { return data_; }
  // For MAIL: 8BITMIME only for mail that needs it.
  BodyType body_type() const { return body_type_; }

 private:
  enum class Top {
    kBegin,     // held_ matches the beginning of an mbox line
    kMboxLine,  // in the line that is dropped
    kReturn,    // after a CR that may end it
    kPast,
  };
  bool take_top(char c);
  void pass(std::string_view bytes);

  Top top_ = Top::kBegin;
  std::string held_;
  BodyType body_type_ = BodyType::kUnstated;
  CanonicalLines canonical_;
  MailData data_;
  std::string made_;
};

}  // namespace lmtpq::mailer

#include "mailer/message/mail_data.h"

namespace lmtpq::mailer {

void MailData::append(std::string_view bytes) {
  if (!filter_.in_header()) {
    body_.append(bytes);
    return;
  }
  kept_.clear();
  filter_.feed(bytes, kept_);
  body_.append(kept_);
}

void MailData::finish() {
  kept_.clear();
  filter_.finish(kept_);
  body_.append(kept_);
}

}  // namespace lmtpq::mailer

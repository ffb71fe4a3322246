#include "mailer/message/mail_data.h"

#include "common/tag/tag_format.h"

namespace lmtpq::mailer {

TextRules text_rules(const Settings& settings) {
  return {settings.line_limit, settings.nul == NulPolicy::kStrip};
}

void MailData::append(std::string_view bytes) {
  if (!filter_.in_header()) {
    body_.append(bytes);
    return;
  }
  kept_.clear();
  kept_.reserve(bytes.size() + kTagName.size());  // the filter may hold the beginning of a name
  filter_.feed(bytes, kept_);
  body_.append(kept_);
}

void MailData::finish(const TextReport& text) {
  text_ = text;
  kept_.clear();
  filter_.finish(kept_);
  body_.append(kept_);
  std::string().swap(kept_);  // the message may now wait
}

}  // namespace lmtpq::mailer

#include "mailer/message/mail_data.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kUsualHeader = 1000;  // bytes

}  // namespace

TextRules text_rules(const Settings& settings) {
  return {settings.line_limit, settings.nul == NulPolicy::kStrip};
}

void MailData::append(std::string_view bytes) {
  if (filter_.in_header()) {
    kept_.clear();
    kept_.reserve(kUsualHeader);
    bytes.remove_prefix(filter_.feed(bytes, kept_));
    body_.append(kept_);
  }
  body_.append(bytes);
}

void MailData::finish(const TextReport& text) {
  text_ = text;
  kept_.clear();
  filter_.finish(kept_);
  body_.append(kept_);
  std::string().swap(kept_);  // the message may now wait
}

}  // namespace lmtpq::mailer

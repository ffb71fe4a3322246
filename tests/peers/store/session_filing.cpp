// What becomes of each recipient: refused at RCPT, refused after the dot, or filed.
#include <thread>

#include "ids.h"
#include "session.h"

namespace store {
namespace {

// As the log shows it: <id@host> without its brackets.
std::string_view bare_message_id(std::string_view id) {
  if (id.starts_with('<')) id.remove_prefix(1);
  if (id.ends_with('>')) id.remove_suffix(1);
  return id;
}

}  // namespace

void Session::refuse_unknown(std::string_view recipient) {
  log(event("RCPT refused").add("reason", "unknown user").add("rcpt", recipient));
  reply("550-Mailbox unknown.  Either there is no mailbox associated with this");
  reply("550-name or you do not have authorization to see it.");
  reply("550 5.1.1 User unknown");
}

bool Session::refuse_over_quota(const Recipient& recipient) {
  const Quota quota =
      recipient.ignores_quota ? Quota::kRoom : house_.mailboxes.quota(recipient.user);
  switch (quota) {
    case Quota::kRoom:
      return false;
    case Quota::kFull:
      log(event("RCPT refused").add("reason", "over quota").add("userid", recipient.user));
      reply((house_.options.over_quota_is_permanent ? "552 5.2.2 Over quota "
                                                    : "452 4.2.2 Over quota ") +
            session_id_text());
      return true;
    case Quota::kUnreadable:
      break;
  }
  log(event("RCPT refused").add("reason", "unreadable quota").add("userid", recipient.user));
  reply("451 4.3.0 System I/O error");
  return true;
}

void Session::refuse_message(std::string_view reason, std::string_view text) {
  log(event("Message refused")
          .add("reason", reason)
          .add("recipients", std::uint64_t{transaction_.recipients.size()}));
  for (std::size_t i = 0; i < transaction_.recipients.size(); ++i) reply(text);
}

void Session::file_for(const Recipient& recipient, const Intake& intake, const Spool& message) {
  if (house_.options.delay_final.count() > 0) {
    client_.flush();
    std::this_thread::sleep_for(house_.options.delay_final);
  }
  // Again, as another message may have filled the mailbox since RCPT.
  if (refuse_over_quota(recipient)) return;

  Event delivered = event("Delivered");
  delivered.add("action", "store").add("userid", recipient.user).add("size", message.size());
  delivered.add("msgid", bare_message_id(intake.message_id));
  if (!house_.options.suppress_duplicates || !intake.has_message_id) {
    answer_filed(recipient, house_.mailboxes.deliver(recipient.user, message), delivered);
    return;
  }
  const std::string key = intake.message_id + '\0' + intake.date + '\0' + recipient.user;
  if (!house_.duplicates.claim(key)) {
    log(event("Duplicate dropped")
            .add("userid", recipient.user)
            .add("msgid", bare_message_id(intake.message_id)));
    reply("250 2.1.5 Success " + session_id_text());
    return;
  }
  const Filed filed = house_.mailboxes.deliver(recipient.user, message);
  house_.duplicates.settle(key, filed == Filed::kStored);
  answer_filed(recipient, filed, delivered);
}

void Session::answer_filed(const Recipient& recipient, Filed filed, const Event& delivered) {
  switch (filed) {
    case Filed::kStored:
      log(delivered);
      return reply("250 2.1.5 Success " + session_id_text());
    case Filed::kNoMailbox:
      return refuse_unknown(recipient.user);
    case Filed::kDiskFull:
      log(event("Not delivered").add("reason", "disk full").add("userid", recipient.user));
      return reply("451 4.3.1 mail system storage has been exceeded");
    case Filed::kTrouble:
      log(event("Not delivered").add("reason", "I/O error").add("userid", recipient.user));
      return reply("451 4.3.0 System I/O error");
  }
}

std::string Session::return_path() const {
  const std::string& sender = transaction_.sender;
  if (sender == "<>" || sender.find('@') != std::string::npos) return sender;
  return sender.substr(0, sender.size() - 1) + "@" + host_name() + ">";
}

}  // namespace store

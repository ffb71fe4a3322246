// The mailboxes: one Maildir for each user, with a quota in bytes or none.
//
// DIR/<user>/{tmp,new,cur}, made on demand. A user exists if DIR/<user> does. The quota is in
// DIR/<user>/quota, which is read each time, otherwise from the command line. Immutable; serves all
// threads. Failures are enum values; a file in tmp/ that could not be completed is removed, and a
// file in new/ is complete and on disk.
//
// https://cr.yp.to/proto/maildir.html. Names are in lower case and end at a '+', as with
// lmtp_downcase_rcpt and plus addressing in Cyrus. A mailbox that is exactly full is over quota
// here (in Cyrus one byte later), so that with a quota of 0 no mail is filed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "spool.h"

namespace store {

enum class Quota { kRoom, kFull, kUnreadable };
enum class Filed { kStored, kNoMailbox, kDiskFull, kTrouble };

class Mailboxes {
 public:
  Mailboxes(std::string directory, std::map<std::string, std::uint64_t> quotas)
      : directory_(std::move(directory)), quotas_(std::move(quotas)) {}

  const std::string& directory() const { return directory_; }
  // The user that a local part names, if there is one.
  std::optional<std::string> find(std::string_view local_part) const;
  Quota quota(const std::string& user) const;
  Filed deliver(const std::string& user, const Spool& message) const;

 private:
  std::string directory_;
  std::map<std::string, std::uint64_t> quotas_;
};

}  // namespace store

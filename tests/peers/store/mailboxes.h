// The mailboxes: one Maildir for each user, with a quota in bytes or none.
//
// What it is: DIR/<user>/{tmp,new,cur}, made on demand below DIR/<user>, which makes a user exist;
//   the quota is in DIR/<user>/quota, read anew each time, or else from the command line.
// What it does not know: addresses beyond their local part, replies, sessions.
// Called by: Session.
// Threads and lifetimes: one object serves all threads and changes nothing of itself; lives until
//   exit.
// Failure: an enum value for everything that the world does; a tmp/ file that could not be
//   completed is removed. What is in new/ was whole and on disk before it came there.
// Source: https://cr.yp.to/proto/maildir.html; names are in lower case and end at a '+', as with
//   lmtp_downcase_rcpt and plus addressing in Cyrus. A mailbox that is exactly full is full here
//   (with Cyrus one byte later), so that a quota of 0 means what it says.
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

// A directory that knows where mailboxes are, as seen through one connection.
//
// What it is: the seam between the rules of asking (DirectoryPool, DirectoryRoutes) and libldap.
// What it does not know: what is asked for, and what the answer means.
// Called by: DirectoryPool.
// Threads and lifetimes: one thread's at a time; destruction closes the connection.
// Failure: an Answer that says so; none is taken for "there is no such entry".
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace lmtpq::mailer {

class Directory {
 public:
  struct Answer {
    enum class Kind {
      kFound,    // entries, perhaps none
      kRefused,  // the directory answers, but not this question
      kClosed,   // the connection was found closed
      kLost,     // no answer in time, or none that can be read
    };
    Kind kind = Kind::kLost;
    std::vector<std::vector<std::string>> entries;  // the attribute's values, of each
    std::string words;                              // what is wrong
  };

  virtual ~Directory() = default;
  virtual Answer search(const std::string& filter) = 0;
};

// A connection that has just answered; empty: `why` there is none.
using OpenDirectory = std::function<std::unique_ptr<Directory>(std::string& why)>;

}  // namespace lmtpq::mailer

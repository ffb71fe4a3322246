// A connection to a directory that knows which store a mailbox is on.
//
// The interface between the rules of asking (DirectoryPool, DirectoryRoutes) and libldap
// (mailer/serve/ldap). One thread at a time; destruction closes the connection. A failed search is
// a Result that says so; it never looks like "there is no such entry". After a search that has no
// answer the connection is of no more use.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mailer/io/channel.h"

namespace lmtpq::mailer {

using Filters = std::vector<std::string>;

class Directory {
 public:
  struct Result {
    enum class Kind {
      kFound,    // entries, perhaps none
      kRefused,  // the directory answers, but refuses this search
      kClosed,   // the connection was closed already
      kLost,     // no answer in time, or an answer that cannot be read
      kTooLong,  // the directory sent more than the searches can need
    };
    Kind kind = Kind::kLost;
    std::vector<std::vector<std::string>> entries;  // for each, the attribute's values
    std::string error;
  };

  virtual ~Directory() = default;
  // A result for each filter, in their order. The searches run side by side, a few at a time; those
  // that have no answer at `latest` are kLost.
  virtual std::vector<Result> search(const Filters& filters, Deadline latest) = 0;
};

// Opens a connection that has just answered. nullptr: `error` says why there is none.
using OpenDirectory = std::function<std::unique_ptr<Directory>(std::string& error)>;

}  // namespace lmtpq::mailer

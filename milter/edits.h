// What the milter asks of the MTA about the message at hand.
//
// What it is: the seam between the decisions and libmilter.
// What it does not know: why.
// Called by: Message::decide(); callbacks implements it with smfi_*, the tests with a list.
// Threads and lifetimes: lives for one end-of-message callback.
// Failure: false when the MTA cannot be told; the connection to it is then as good as gone.
#pragma once

#include <string>

namespace lmtpq::milter {

class Edits {
 public:
  virtual ~Edits() = default;
  // The `index`th field of this name, counted from 1 among those of any case that came with the
  // message. Deleting leaves the count of the others as it is in Sendmail, not in Postfix: delete
  // from the last to the first.
  virtual bool delete_field(const std::string& name, int index) = 0;
  // At the top of the header; `value` may be folded with LF TAB.
  virtual bool insert_field(const std::string& name, const std::string& value) = 0;
};

}  // namespace lmtpq::milter

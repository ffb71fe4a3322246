// Interface: changes to the header of the message that is being decided.
//
// Implemented with libmilter in libmilter_callbacks.cpp, and with a list in the tests. Lives for
// one end-of-message callback. false: the edit could not be sent; the connection to the MTA is then
// unusable.
#pragma once

#include <string>

namespace lmtpq::milter {

class HeaderEdits {
 public:
  virtual ~HeaderEdits() = default;
  // The `index`th field of this name, counted from 1 among those of any case that came with the
  // message. Delete from the last to the first: a deleted field keeps its number in Sendmail, but
  // not in Postfix.
  virtual bool delete_field(const std::string& name, int index) = 0;
  // At the top of the header; `value` may be folded with LF TAB.
  virtual bool insert_field(const std::string& name, const std::string& value) = 0;
};

}  // namespace lmtpq::milter

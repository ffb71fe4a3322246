// Whether a queue file of Sendmail (qf...) has a tag in its header.
//
// The header is in lines `H?flags?Name: value`; the body is in another file. Fed in pieces of any
// size, any bytes; keeps the beginning of one line only.
#pragma once

#include <string>
#include <string_view>

namespace lmtpq::mailer {

class QueuedTag {
 public:
  void feed(std::string_view bytes);
  // Of the lines that were complete so far.
  bool found() const { return found_; }

 private:
  void keep(std::string_view piece);
  void end_line();

  std::string line_;  // its beginning
  bool found_ = false;
};

}  // namespace lmtpq::mailer

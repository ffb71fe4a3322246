// Takes the tags out of a message on its way in.
//
// What it is: a filter on canonical bytes (CRLF line ends): every X-LMTPQ-Tag field of the header,
//   in letters of any case, folded or not, with or without blanks before its colon, is kept back;
//   everything else passes as it is.
// What it does not know: what a tag says, whether one is to be believed.
// Called by: MailData.
// Threads and lifetimes: one object a message.
// Failure: none. Of the tags the first kMaxTags are kept, each up to a byte more than a tag may
//   have; all are taken out. The header ends at the first empty line and nowhere else: a line that
//   is no field ends it for Sendmail, but a store may read on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lmtpq::mailer {

class TagFilter {
 public:
  static constexpr std::size_t kMaxTags = 16;

  void feed(std::string_view bytes, std::string& out);
  void finish(std::string& out);  // the message ended: what was held back as a tag's beginning

  bool in_header() const { return state_ != State::kBody; }
  const std::vector<std::string>& tags() const { return tags_; }  // values, still folded
  std::size_t found() const { return found_; }

 private:
  enum class State {
    kLineStart,  // of a line that may begin a field
    kName,       // held_ begins a tag's name
    kOther,      // in a line that is no tag's
    kTag,        // in a tag, before its colon
    kValue,      // behind it
    kTagEnd,     // behind the line end of a tag before its colon: a blank goes on with it
    kValueEnd,   // the same behind the colon
    kBody,       // the header has ended
  };
  std::size_t step(std::string_view bytes, std::string& out);
  std::size_t name(char c, std::string& out);
  std::size_t within_line(std::string_view bytes, std::string& out);
  void begin_tag();
  void keep(std::string_view value);

  State state_ = State::kLineStart;
  std::string held_;
  std::vector<std::string> tags_;
  std::size_t found_ = 0;
};

}  // namespace lmtpq::mailer

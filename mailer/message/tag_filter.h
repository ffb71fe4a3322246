// Removes the tags from a message while it is received.
//
// It drops every X-LMTPQ-Tag field of the header, in upper or lower case, folded or not, with or
// without blanks before its colon, and passes everything else as it is. The first kMaxTags tags are
// kept, each up to one byte more than a valid tag can have. The input has canonical line ends
// (CRLF).
//
// The header ends at the first empty line only. For Sendmail a line that is not a field ends it as
// well, but a store may read on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lmtpq::mailer {

class TagFilter {
 public:
  static constexpr std::size_t kMaxTags = 16;

  // Returns how many bytes it took: those of the header. What follows passes as it is.
  std::size_t feed(std::string_view bytes, std::string& out);
  void finish(std::string& out);  // the message is complete

  bool in_header() const { return state_ != State::kBody; }
  const std::vector<std::string>& tags() const { return tags_; }  // values, not unfolded
  std::size_t found() const { return found_; }

 private:
  enum class State {
    kLineStart,  // at the start of a line that may begin a field
    kName,       // held_ matches the beginning of a tag's name
    kOther,      // in a line that does not belong to a tag
    kTag,        // in a tag, before its colon
    kValue,      // in a tag, after its colon
    kTagEnd,     // after a line end within kTag: a blank continues the field
    kValueEnd,   // after a line end within kValue: a blank continues the field
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

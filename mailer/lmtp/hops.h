// The lmtpqs that a message has passed, so that it cannot go round between them without end.
//
// Each process has a random mark, which its greetings show. A listener's mark is that of its
// process and a part for its address. A server that offers XLMTPQ takes the marks of the listeners
// that the message has passed as a parameter of MAIL, `XLMTPQ=MARK,MARK`, and passes them on with
// its own at the end. A message that has its mark already, or kMaxHops marks, is in a loop
// (docs/DECISIONS.md, "Mail loops").
//
// The functions may be called from several threads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mailer/lmtp/reply.h"

namespace lmtpq::mailer {

// The mark of this process: random, and the same until it ends.
const std::string& instance_mark();
// The mark of its listener with this address.
std::string listener_mark(std::string_view address);

// What a greeting ends with where the server has this mark; empty without one.
std::string greeting_end(std::string_view mark);
// Whether this process sent the greeting.
bool is_own(const Reply& greeting);

class Hops {
 public:
  static constexpr std::size_t kMaxHops = 8;

  // "MARK,MARK". Nothing: it is no such list.
  static std::optional<Hops> parse(std::string_view text);

  void add(std::string_view mark);
  bool contains(std::string_view mark) const;
  // Whether a listener of this process is among the hops before the last, which is our own.
  bool came_back() const;
  std::size_t count() const;
  bool empty() const { return text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace lmtpq::mailer

// What a message needs of a store that does not offer it, and with which it is sent all the same.
//
// Stores file such mail, and a bounce would help nobody (docs/DECISIONS.md); but it must be seen in
// the log, as a store may also refuse or change it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mailer/lmtp/capabilities.h"
#include "mailer/message/message_spool.h"

namespace lmtpq::mailer {

enum class Relief {
  kUtf8Headers,  // bytes above 127 in the header, and no SMTPUTF8 (RFC 6531)
  k8Bit,         // bytes above 127 in the body, and no 8BITMIME (RFC 6152)
};
inline constexpr const char* kReliefNames[] = {"utf8-headers", "8bit"};

// "utf8-headers,8bit"; empty: none.
std::string names_of(const std::vector<Relief>& reliefs);

// Where a message has bytes above 127. Reads no more of it than the store makes necessary, and
// nothing twice. The message must be complete, and outlive the object. A part that cannot be read
// counts as having none: it is not sent either.
class EightBitParts {
 public:
  explicit EightBitParts(const MessageSpool& message) : message_(message) {}
  std::vector<Relief> reliefs_at(const Capabilities& store);
  bool in_header();
  bool anywhere() { return in_header() || in_body(); }

 private:
  bool in_body();
  void read_all();

  const MessageSpool& message_;
  std::optional<bool> header_;
  std::optional<bool> body_;
};

}  // namespace lmtpq::mailer

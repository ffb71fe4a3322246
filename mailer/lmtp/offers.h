// What a client is offered beyond what every client is: a set of extensions, chosen per session.
//
// What it is: the names, and a set of them that fits a register.
// What it does not know: who is permitted what, how an extension is spoken.
// Called by: whoever makes ServerLimits; LmtpServer asks it.
// Threads and lifetimes: a value.
// Failure: none.
// Rules: PIPELINING (RFC 2920) is never for Sendmail, whose 8.17 can credit a pipelined reply to
//   the wrong recipient. IGNOREQUOTA and TRACE are for clients that may overfill a mailbox, or
//   name a delivery in our logs.
#pragma once

#include <initializer_list>

namespace lmtpq::mailer {

enum class Offer : unsigned { kPipelining = 1, kIgnoreQuota = 2, kTrace = 4 };

class Offers {
 public:
  constexpr Offers() = default;
  constexpr Offers(std::initializer_list<Offer> offers) {
    for (const Offer offer : offers) {
      add(offer);
    }
  }
  constexpr void add(Offer offer) { bits_ |= static_cast<unsigned>(offer); }
  constexpr bool has(Offer offer) const { return (bits_ & static_cast<unsigned>(offer)) != 0; }
  bool operator==(const Offers&) const = default;

 private:
  unsigned bits_ = 0;
};

}  // namespace lmtpq::mailer

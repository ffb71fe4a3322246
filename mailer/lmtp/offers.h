// The extensions that a client is offered beyond those that every client gets: a set, chosen per
// session.
//
// PIPELINING (RFC 2920) must never be offered to Sendmail: its 8.17 can credit a pipelined reply to
// the wrong recipient. Other clients may insist on it (RFC 2033 section 5). LIMITS (RFC 9422) names
// the limits that we enforce. IGNOREQUOTA and TRACE are for clients that may overfill a mailbox, or
// name a delivery in our logs.
#pragma once

#include <initializer_list>

namespace lmtpq::mailer {

enum class Offer : unsigned { kPipelining = 1, kIgnoreQuota = 2, kTrace = 4, kLimits = 8 };

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

// A Route in words, for tests.
//
// What it is: "default", the destinations with commas, or the outcome as a reply.
// What it does not know: where the route came from.
// Called by: the tests of maps and of FanOut.
// Threads and lifetimes: a pure function.
// Failure: an address that is none fails the test.
#pragma once

#include <cppunit/extensions/HelperMacros.h>

#include <string>

#include "mailer/routes/routes.h"

namespace lmtpq::mailer {

inline std::string words_of(const Route& route) {
  if (const auto* const outcome = std::get_if<Outcome>(&route)) {
    return words_of(*outcome);
  }
  std::string words;
  if (const auto* const list = std::get_if<DestinationList>(&route)) {
    for (const Destination& destination : **list) {
      words += (words.empty() ? "" : ", ") + destination.text;
    }
  }
  return words.empty() ? "default" : words;
}

inline Mailbox recipient(const std::string& address) {
  const auto mailbox = Mailbox::parse(address);
  CPPUNIT_ASSERT_MESSAGE(address, mailbox.has_value());
  return *mailbox;
}

}  // namespace lmtpq::mailer

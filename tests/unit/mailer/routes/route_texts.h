// A Route as text, for tests: "default", the destinations with commas, or the outcome as a reply.
#pragma once

#include <cppunit/extensions/HelperMacros.h>

#include <string>

#include "mailer/routes/routes.h"

namespace lmtpq::mailer {

inline std::string route_text(const Route& route) {
  if (const auto* const outcome = std::get_if<Outcome>(&route)) {
    return reply_text(*outcome);
  }
  std::string text;
  if (const auto* const list = std::get_if<DestinationList>(&route)) {
    for (const Destination& destination : **list) {
      text += (text.empty() ? "" : ", ") + destination.text;
    }
  }
  return text.empty() ? "default" : text;
}

inline Mailbox recipient(const std::string& address) {
  const auto mailbox = Mailbox::parse(address);
  CPPUNIT_ASSERT_MESSAGE(address, mailbox.has_value());
  return *mailbox;
}

}  // namespace lmtpq::mailer

// What is known of a message when the policy is asked.
//
// What it is: plain data. Everything in it came from the network and is bounded by whoever filled
//   it (message.h).
// What it does not know: rules, libmilter.
// Called by: Message and --explain fill it, policy and trace_origin read it.
// Threads and lifetimes: values; one message.
// Failure: none. What is not known is empty, and no condition holds for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/network.h"
#include "milter/policy/address_form.h"

namespace lmtpq::milter {

// Of the connection; the same for all its messages.
struct ClientFacts {
  std::optional<Address> address;  // none: a local program (sendmail -bs), or unknown
};

struct RecipientFacts {
  std::string given;     // RCPT TO's address; like `resolved` a comparable_address (tag.h)
  std::string resolved;  // {rcpt_addr}: what Sendmail's rules made of it, before aliases
  std::string mailer;    // {rcpt_mailer}; empty: Sendmail did not tell
  AddressForm form = AddressForm::kPlain;  // of `given`
};

struct HeaderFact {
  std::string name;
  std::string value;  // unfolded
};

struct MessageFacts {
  ClientFacts client;
  std::string auth;         // {auth_authen}
  std::string tls_subject;  // {cert_subject}, only where {verify} is OK
  std::string sender;       // MAIL FROM's address, without brackets; empty: the null sender
  AddressForm sender_form = AddressForm::kPlain;
  std::string queue_id;               // {i}
  std::string message_id;             // of the first Message-ID field
  std::vector<HeaderFact> headers;    // those that somebody asks for (Policy::header_names)
  std::optional<std::uint64_t> size;  // bytes, as Sendmail counted
  std::vector<RecipientFacts> recipients;
};

}  // namespace lmtpq::milter

// What is known of a message when the policy decides. Plain data.
//
// All of it comes from the network; Message limits its size. What is not known is empty, and no
// condition holds for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/network/network.h"
#include "milter/policy/address_form.h"

namespace lmtpq::milter {

// The same for all messages of a connection.
struct ClientFacts {
  std::optional<Address> address;  // none: a local program (sendmail -bs), or unknown
};

struct RecipientFacts {
  std::string given;     // RCPT TO's address; like `resolved` a comparable_address (tag_format.h)
  std::string resolved;  // {rcpt_addr}: after Sendmail's rules, before aliases
  std::string mailer;    // {rcpt_mailer}; empty: unknown
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
  std::vector<HeaderFact> headers;    // those that rules or the trace id need
  std::optional<std::uint64_t> size;  // bytes, as Sendmail counted
  std::vector<RecipientFacts> recipients;
};

}  // namespace lmtpq::milter

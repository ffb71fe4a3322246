// The envelope of one message: plain data.
//
// The recipients are in the order in which the client named them; answers follow that order (RFC
// 2033 section 4.2).
#pragma once

#include <string>
#include <vector>

#include "common/mailbox.h"
#include "common/tag/trace_id.h"
#include "mailer/lmtp/hops.h"

namespace lmtpq::mailer {

enum class BodyType {
  kUnstated,  // no BODY parameter
  k7Bit,      // RFC 6152
  k8BitMime,
};

enum class AddressCharset {
  kAscii,
  kUtf8,  // the client sent SMTPUTF8 (RFC 6531): addresses or header may contain UTF-8
};

struct Recipient {
  Mailbox mailbox;
  bool ignore_quota = false;  // IGNOREQUOTA: file the message although the mailbox is full
};

struct Envelope {
  Mailbox sender;  // null: `<>`, a bounce
  BodyType body = BodyType::kUnstated;
  AddressCharset charset = AddressCharset::kAscii;
  std::vector<Recipient> recipients;
  TraceId trace;  // the client's TRACE; empty: none
  Hops hops;      // the listeners that the message has passed, the one that received it included
};

}  // namespace lmtpq::mailer

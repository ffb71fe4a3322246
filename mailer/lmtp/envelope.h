// The envelope of one message: what every front makes, and what the road delivers.
//
// What it is: plain data; the sender, how the message is coded, the recipients in the order in
//   which the client named them (answers follow that order, RFC 2033 section 4.2), and what the
//   client asked for with IGNOREQUOTA and TRACE.
// What it does not know: the message itself, any policy.
// Called by: LmtpServer and the argv front fill it; delivery reads it.
// Threads and lifetimes: a value that lives as long as its message.
// Failure: none.
#pragma once

#include <string>
#include <vector>

#include "common/mailbox.h"
#include "common/tag/trace_id.h"

namespace lmtpq::mailer {

enum class BodyType {
  kUnstated,  // no BODY parameter
  k7Bit,      // RFC 6152
  k8BitMime,
};

enum class AddressCharset {
  kAscii,
  kUtf8,  // the client said SMTPUTF8 (RFC 6531): addresses or header may hold UTF-8
};

struct Recipient {
  Mailbox mailbox;
  bool ignore_quota = false;  // with IGNOREQUOTA: file the message although the mailbox is full
};

struct Envelope {
  Mailbox sender;  // null: `<>`, a bounce
  BodyType body = BodyType::kUnstated;
  AddressCharset charset = AddressCharset::kAscii;
  std::vector<Recipient> recipients;
  TraceId trace;  // the client's TRACE; empty: it named none
};

}  // namespace lmtpq::mailer

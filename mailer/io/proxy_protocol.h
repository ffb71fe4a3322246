// The PROXY protocol's header, version 2: what Cyrus's `lmtpd -H` reads in front of everything.
//
// What it is: bytes out of two socket addresses. What it does not know: sockets, when it is sent.
// Called by: Connector. Threads and lifetimes: pure functions. Failure: none.
// Rules: HAProxy's proxy-protocol.txt, section 2.2.
#pragma once

#include <sys/socket.h>

#include <string>

namespace lmtpq::mailer {

// Command PROXY over TCP, IPv4 or IPv6, from `source` to `target`; any other pair of addresses (a
// unix socket) makes a LOCAL header, which says: judge this connection by itself.
std::string proxy_v2_header(const sockaddr_storage& source, const sockaddr_storage& target);

}  // namespace lmtpq::mailer

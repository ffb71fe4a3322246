// The header of the PROXY protocol, version 2, which Cyrus's `lmtpd -H` expects before anything
// else.
//
// A pure function. HAProxy's proxy-protocol.txt, section 2.2.
#pragma once

#include <sys/socket.h>

#include <string>

namespace lmtpq::mailer {

// Command PROXY over TCP, IPv4 or IPv6, from `source` to `target`. Any other pair of addresses (a
// unix socket) gives a LOCAL header: the server then uses the connection's own addresses.
std::string proxy_v2_header(const sockaddr_storage& source, const sockaddr_storage& target);

}  // namespace lmtpq::mailer

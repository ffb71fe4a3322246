// Whether a program could listen at a TCP address, without listening there.
//
// For checks of a configuration, beside a running daemon. Stateless; may be used by several
// threads.
#pragma once

struct addrinfo;

namespace lmtpq {

// Whether a process listens at this address, and not only at one that includes it. `address` is of
// IPv4 or IPv6.
bool is_listening(const addrinfo& address);

// 0, or the errno of bind(2): the address is not this host's, or the port is not for this process's
// user. 0 too where a process listens already, perhaps the one that the check is for. Nobody can
// connect to the socket, which is closed at once.
int try_bind(const addrinfo& address);

}  // namespace lmtpq

// Looks up the addresses of hosts.
//
// getaddrinfo(3) has no time limit: with a silent DNS server it takes as long as resolv.conf(5)
// says. So each look-up has a separate thread, and all that ask for the same name wait for the same
// look-up, each as long as its patience lasts. A name that hangs costs one thread, however many
// messages are for it, and delays no other name. A look-up that failed is not repeated for
// kFailureKept.
//
// May be used by any thread or fiber.
#pragma once

#include <netdb.h>

#include <chrono>
#include <memory>
#include <string>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

struct Addresses {
  std::shared_ptr<const addrinfo> list;  // null: `failure` says why
  std::string failure;
  // The resolver gave no answer, in time or at all. That says nothing about the host.
  bool unknown = false;
};

inline constexpr std::chrono::seconds kFailureKept{3};

// TCP addresses, in the order in which to try them. A numeric host is never looked up.
Addresses look_up(const std::string& host, const std::string& port, const Patience& patience);

}  // namespace lmtpq::mailer

// Replaces libc's getaddrinfo(3) in the unit tests: names have the addresses that a test gives
// them, and no name server is asked. Numeric hosts go to libc, and so do all others.
#pragma once

#include <string>
#include <vector>

namespace fake_resolver {

// From now on; `status` 0 and numeric addresses, or an EAI_* code.
void set(const std::string& host, int status, std::vector<std::string> addresses = {});
// Look-ups of this name do not end until it is set.
void hang(const std::string& host);
int asked(const std::string& host);

}  // namespace fake_resolver

// Bytes of every kind, the same ones in each run.
#pragma once

#include <string>

namespace lmtpq::mailer {

inline std::string some_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  unsigned state = 1;
  for (char& c : bytes) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace lmtpq::mailer

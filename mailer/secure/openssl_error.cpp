#include "mailer/secure/openssl_error.h"

#include <openssl/err.h>

#include <cstring>

namespace lmtpq::mailer {
namespace {

// The first entry is the cause, but an error of TLS says more than that of a cipher.
unsigned long most_useful() {
  const unsigned long first = ERR_peek_error();
  while (const unsigned long code = ERR_get_error()) {
    if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
      return code;
    }
  }
  return first;
}

}  // namespace

std::string openssl_error() {
  const unsigned long code = most_useful();
  if (code == 0) {
    return "unknown error";
  }
  if (ERR_SYSTEM_ERROR(code)) {
    return std::strerror(ERR_GET_REASON(code));
  }
  if (const char* reason = ERR_reason_error_string(code)) {
    return reason;
  }
  return "OpenSSL error " + std::to_string(code);
}

}  // namespace lmtpq::mailer

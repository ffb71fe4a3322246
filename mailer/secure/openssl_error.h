// The reason why a call of OpenSSL failed, as text.
//
// It is taken from the calling thread's error queue, which is then empty. Clear the queue before a
// call of OpenSSL, or an older error may be reported. An empty queue gives "unknown error".
#pragma once

#include <string>

namespace lmtpq::mailer {

// One line, such as "certificate verify failed" or "No such file or directory".
std::string openssl_error();

}  // namespace lmtpq::mailer

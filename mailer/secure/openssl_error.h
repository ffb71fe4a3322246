// Why OpenSSL failed, in its own words.
//
// What it is: the entry of this thread's error queue that says most, as text; the queue is taken
//   from. Whoever calls OpenSSL clears it before, or would report somebody else's mistake.
// What it does not know: what was tried.
// Called by: tls_layer, tls_context.
// Threads and lifetimes: the calling thread's queue.
// Failure: an empty queue gives "unknown error".
#pragma once

#include <string>

namespace lmtpq::mailer {

// One line, such as "certificate verify failed" or "No such file or directory".
std::string openssl_error();

}  // namespace lmtpq::mailer

// A certificate as text: names, dates, fingerprints.
//
// Pure functions, which do not judge it. What cannot be read is left empty. All text is printable
// ASCII, cut at kMaxText, and has at most kMaxNames names.
#pragma once

#include <openssl/x509.h>

#include <cstddef>
#include <ctime>
#include <string>

#include "mailer/io/tls_facts.h"

namespace lmtpq::mailer {

inline constexpr std::size_t kMaxText = 300;
inline constexpr std::size_t kMaxNames = 50;
inline constexpr std::size_t kMaxChain = 10;

CertificateFacts certificate_facts(X509* certificate, std::time_t now);

// RFC 2253, as `openssl x509 -nameopt RFC2253` prints it.
std::string subject_of(X509* certificate);

// RFC 5929 section 4: a digest of the certificate, by the hash of its signature; SHA-256 if
// that is MD5 or SHA-1. Empty: its signature has no separate hash (Ed25519).
std::string server_end_point(X509* certificate);

}  // namespace lmtpq::mailer

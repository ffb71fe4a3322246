// The version of lmtpq: the text of the file VERSION at the top of the source, which make reads.
#pragma once

namespace lmtpq {

extern const char* const kVersion;  // "0.9.0"

}  // namespace lmtpq

// Reads a Keyring from a file of `id base64` lines.
//
// Errors are ConfigError with file, line and remedy; read_secret_file() checks the file's owner and
// mode. The file's text is wiped as soon as it is parsed.
#pragma once

#include <unistd.h>

#include <string>
#include <string_view>

#include "common/tag/keyring.h"

namespace lmtpq {

inline constexpr const char* kDefaultKeyFile = "/etc/lmtpq/tag.keys";
inline constexpr const char* kMakeKeyFile = "lmtpq keygen --install";

// `reader` is the user that the process will run as, and may own the file.
Keyring read_key_file(const std::string& path, uid_t reader = geteuid());
// Empty path: kDefaultKeyFile, and no keys if that file does not exist.
Keyring read_key_file_or_default(const std::string& path, uid_t reader);
// The same for text in memory; errors call it `name`.
Keyring parse_keys(std::string_view text, const std::string& name);

}  // namespace lmtpq

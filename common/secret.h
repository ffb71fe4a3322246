// Keys and passwords in memory and in files: wiped after use, and read with checks of the file's
// owner and mode. Move-only; a move leaves no copy in the source.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace lmtpq {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text);  // copies; the caller must wipe the original
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  bool empty() const { return text_.empty(); }
  std::string_view text() const { return text_; }

 private:
  std::string text_;  // with capacity on the heap: the object itself holds no byte of it
};

// Overwrites the whole memory of the text, unused capacity included, and empties it.
void wipe(std::string& text);

// Compares in constant time.
bool same_secret(std::string_view a, std::string_view b);

inline constexpr std::size_t kMaxSecretFile = 64 * 1024;

// Reads a regular file of at most kMaxSecretFile bytes. It must be owned by root or by `reader`,
// the user that the process will run as, and others must have no access. Its group may read it if
// at most one account other than these two has it as primary group. `what` names the contents in an
// error: "the keys", "the passwords". Throws ConfigError with the path, the fault and the remedy.
Secret read_secret_file(const std::string& path, uid_t reader, const char* what);

// Disables core files, and ptrace(2) by the same user, for a process that holds secrets. Call after
// a change of user, which enables ptrace(2) again (prctl(2)).
void forbid_core_dumps();

}  // namespace lmtpq

// The file with the process id. It is locked while the milter runs, so that a second one refuses to
// start.
//
// Opened as root and written by the process that serves, before any thread. Throws ConfigError.
#pragma once

#include <optional>
#include <string>

#include "common/open_file.h"

namespace lmtpq::milter {

class PidFile {
 public:
  // Refuses a file that a running process has locked. Empty path: no file is wanted.
  explicit PidFile(const std::string& path);
  ~PidFile();  // removes a file that was never written
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  void write();
  // Empties the file where the user that the milter became may not remove it.
  void remove() const;

 private:
  std::string path_;
  bool written_ = false;
  std::optional<LockFile> file_;
};

}  // namespace lmtpq::milter

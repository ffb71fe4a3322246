// Into the background, and the file that tells which process that is.
//
// What it is: Launch (a fork whose parent waits until the child says that it serves, and exits with
//   the child's status when it does not) and PidFile (opened as root, written by the child, locked
//   while it lives).
// What it does not know: what is served.
// Called by: main.
// Threads and lifetimes: before any thread.
// Failure: ConfigError.
#pragma once

#include <string>

namespace lmtpq::milter {

class PidFile {
 public:
  // Refuses one that a living process has locked. Empty: none is wanted.
  explicit PidFile(const std::string& path);
  ~PidFile();  // removes what was never written
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;

  void write();
  void remove() const;  // empties it where the user that we became may not remove it

 private:
  std::string path_;
  bool written_ = false;
  int descriptor_ = -1;  // closed by the process's end only, and with it the lock
};

class Launch {
 public:
  // Returns in the child; the parent ends here.
  static Launch into_background();
  static Launch in_foreground() { return Launch(-1); }
  // Lets the parent, if there is one, exit with 0. Standard input and output, and standard error
  // unless it is the log, are /dev/null from now on.
  void ready(bool keep_stderr) const;

 private:
  explicit Launch(int parent) : parent_(parent) {}
  int parent_;  // a pipe to it
};

}  // namespace lmtpq::milter

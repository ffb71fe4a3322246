// Goes into the background: forks, and lets the parent exit once the child serves.
//
// Call before the first thread. Throws ConfigError. When the child fails to start, the parent exits
// with the child's status.
#pragma once

namespace lmtpq::milter {

class Launch {
 public:
  // Returns in the child; the parent ends inside this call.
  static Launch into_background();
  static Launch in_foreground() { return Launch(-1); }
  // Lets the parent, if there is one, exit with 0. Redirects standard input and output to
  // /dev/null, and standard error too unless it is the log.
  void ready(bool keep_stderr) const;

 private:
  explicit Launch(int parent) : parent_(parent) {}
  int parent_;  // a pipe to the parent
};

}  // namespace lmtpq::milter

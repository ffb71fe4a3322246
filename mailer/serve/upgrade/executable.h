// The program that this process runs, and whether another one is now at its path: a package was
// upgraded.
//
// Made at the start, while the path is that of the running program. An executable that is
// overwritten in place is not noticed; the kernel refuses that (ETXTBSY).
#pragma once

#include <string>

namespace lmtpq::mailer {

class Executable {
 public:
  Executable();

  const std::string& path() const { return path_; }
  // Device or inode of the file at the path differ from those of the running program. False also
  // where there is no file.
  bool replaced() const;

 private:
  std::string path_;
};

}  // namespace lmtpq::mailer

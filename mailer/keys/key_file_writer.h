// Makes a key file, or gives one another text, in one step: a program that reads it in the meantime
// finds the old text or the new one, and a full disk or a crash leaves what was there.
//
// No link of another user is followed on the way (open_file.h). The folder is locked (flock(2)) as
// long as the object lives, so that one process at a time changes a key file there. Errors are
// ConfigError where the file or the folder is not as it must be, and std::system_error where the
// text could not be written.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "common/open_file.h"
#include "common/secret.h"

namespace lmtpq::mailer {

class KeyFileWriter {
 public:
  explicit KeyFileWriter(const std::string& path);

  // false: there is a file, or anything else, of this name, and nothing was done.
  bool create(std::string_view text, uid_t owner, gid_t group, mode_t mode);

  // The text of the file, which belongs to root or to any other user.
  Secret read();
  // After read(): the new file has the owner, the mode and the ACL of the old one.
  void replace(std::string_view text);

 private:
  int at() const { return place_.folder.number(); }
  void write(std::string_view text, uid_t owner, gid_t group, mode_t mode);
  void sync_folder();

  std::string path_;
  FilePlace place_;
  std::string new_name_;  // the file beside it, which becomes the key file
  Descriptor locked_;
  Descriptor old_;
};

}  // namespace lmtpq::mailer

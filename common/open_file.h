// Makes, opens and removes files in folders that another user may own: no link of that user is
// followed, wherever it is in the path, and no file that has got a second name there is opened.
//
// A program that still has root's rights does all that it writes in the folder of its service's
// user with these, as that user could replace a file or a folder at any moment.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/descriptor.h"

namespace lmtpq {

// Where a file is made, opened or removed: its folder, for the calls that end in at(), and its name
// there.
struct FilePlace {
  Descriptor folder;  // O_PATH; invalid: errno, which is ELOOP for another user's link on the way
  std::string name;
  bool fixed = true;  // no other user can change where the path leads

  // A path to the same file, also if the folder is moved in the meantime. Needs /proc.
  std::string path() const;
};
FilePlace place_of(const std::string& path);

// unlink(2) of what is in this place.
bool remove_file(const std::string& path);

// A log file, made with mode 0640 where there is none. Follows a symbolic link that belongs to root
// or to this process's user, and no other. Invalid: errno, which is ELOOP for such a link and
// EMLINK for a file with several names.
Descriptor open_to_append(const std::string& path);

// Throws ConfigError where open_to_append() by this process's user would fail. Makes and changes
// nothing. Passes a named pipe without a reader, since a reader may come, and a name that does not
// begin with a slash, since it is no file.
void require_writable(const std::string& path);

// Whether the path leads to something that is not a regular file: a pipe or a device, which could
// keep its reader waiting without end, or a folder. False where nothing is there. For files that a
// library opens.
bool is_other_than_file(const std::string& path);

// What to do about a file that cannot be made in the folder of this path, by errno: "; ...", which
// follows the error.
std::string remedy_at(const std::string& path);

// A file that one process at a time has locked (flock(2)), as long as the object lives. The kernel
// unlocks the file of a process that was killed; the file may stay.
class LockFile {
 public:
  // Makes the file with this mode where there is none. Throws ConfigError with the path and the
  // remedy, or `busy` where another process has locked it.
  LockFile(const std::string& path, mode_t mode, const std::string& busy);
  // A file that another process has locked, by a copy of its descriptor: the lock is of both.
  LockFile(const std::string& path, mode_t mode, Descriptor locked);

  int number() const { return file_.number(); }
  bool is_new() const { return is_new_; }  // this process made the file
  bool in_place() const;                   // the path still leads to the locked file
  // Removes the file, unless another one is in its place. false: this user may not.
  bool remove() const;

 private:
  bool open();
  [[noreturn]] void refuse(bool exists) const;

  std::string path_;
  mode_t mode_;
  Descriptor file_;
  bool is_new_ = false;
};

// Throws ConfigError where this process's user could not open a LockFile. Locks and makes nothing;
// a file that another process has locked passes.
void check_lock_place(const std::string& path);

// The folder of a path: up to and without the last slash, "/" or ".".
std::string folder_of(const std::string& path);

}  // namespace lmtpq

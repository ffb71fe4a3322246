#include "mailboxes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "ids.h"

namespace store {
namespace {

namespace fs = std::filesystem;

struct Limit {
  bool readable = true;
  std::optional<std::uint64_t> bytes;
};

Limit read_limit(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return {!error, std::nullopt};
  std::uint64_t bytes = 0;
  if (std::ifstream in(file); in >> bytes) return {true, bytes};
  return {false, std::nullopt};
}

// A file that vanishes while we look was read or moved by its owner: it counts nothing.
std::uint64_t used(const fs::path& maildir) {
  std::uint64_t sum = 0;
  for (const char* part : {"new", "cur"}) {
    std::error_code error;
    for (fs::directory_iterator it(maildir / part, error), end; !error && it != end;
         it.increment(error)) {
      std::error_code gone;
      const auto size = it->file_size(gone);
      if (!gone) sum += size;
    }
  }
  return sum;
}

Filed filed_of(int error) {
  if (error == 0) return Filed::kStored;
  if (error == ENOENT) return Filed::kNoMailbox;
  if (error == ENOSPC || error == EDQUOT) return Filed::kDiskFull;
  return Filed::kTrouble;
}

int make_parts(const std::string& maildir) {
  for (const char* part : {"/tmp", "/new", "/cur"}) {
    if (mkdir((maildir + part).c_str(), 0700) != 0 && errno != EEXIST) return errno;
  }
  return 0;
}

int write_synced(const std::string& file, const Spool& message) {
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return errno;
  int error = message.copy_to(descriptor);
  if (error == 0 && fsync(descriptor) != 0) error = errno;
  if (close(descriptor) != 0 && error == 0) error = errno;
  return error;
}

int sync_directory(const std::string& directory) {
  const int descriptor = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  const int error = fsync(descriptor) == 0 ? 0 : errno;
  close(descriptor);
  return error;
}

}  // namespace

std::optional<std::string> Mailboxes::find(std::string_view local_part) const {
  std::string user(local_part.substr(0, local_part.find('+')));
  for (char& c : user) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  // A name stays below the directory, and what begins with a dot is ours.
  const bool is_name = !user.empty() && user.front() != '.' && user.find('/') == std::string::npos;
  std::error_code error;
  if (!is_name || !fs::is_directory(fs::path(directory_) / user, error)) return std::nullopt;
  return user;
}

Quota Mailboxes::quota(const std::string& user) const {
  const fs::path maildir = fs::path(directory_) / user;
  Limit limit = read_limit(maildir / "quota");
  if (!limit.readable) return Quota::kUnreadable;
  if (const auto given = quotas_.find(user); !limit.bytes && given != quotas_.end()) {
    limit.bytes = given->second;
  }
  if (!limit.bytes) return Quota::kRoom;
  return used(maildir) < *limit.bytes ? Quota::kRoom : Quota::kFull;
}

Filed Mailboxes::deliver(const std::string& user, const Spool& message) const {
  const std::string maildir = directory_ + "/" + user;
  const std::string name = new_maildir_name();
  const std::string unfinished = maildir + "/tmp/" + name;
  if (const int error = make_parts(maildir)) return filed_of(error);
  if (const int error = write_synced(unfinished, message)) {
    unlink(unfinished.c_str());
    return filed_of(error);
  }
  if (rename(unfinished.c_str(), (maildir + "/new/" + name).c_str()) != 0) {
    const int error = errno;
    unlink(unfinished.c_str());
    return filed_of(error);
  }
  // The message is there. If its name may not outlive a power cut, the sender should know.
  return filed_of(sync_directory(maildir + "/new"));
}

}  // namespace store

#include "mailer/check/queue_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>

#include "common/descriptor.h"
#include "common/open_file.h"
#include "common/privileges.h"
#include "mailer/check/queued_tag.h"

namespace lmtpq::mailer {
namespace {

constexpr int kTagged = 1;   // exit status
constexpr int kDeepest = 2;  // DIR/q1/qf
constexpr int kRead = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;

void fail(QueueCount& count, const std::string& path, int error) {
  if (count.failure.empty()) {
    count.failure = path + ": " + error_as_user(error) +
                    (error == EACCES || error == EPERM ? "; run as root" : "");
  }
}

// A link, or what was removed in the meantime.
bool is_nothing(int error) { return error == ENOENT || error == ELOOP || error == ENOTDIR; }

void count_file(const Descriptor& folder, const char* name, const std::string& path,
                QueueCount& count) {
  const Descriptor file(openat(folder.number(), name, kRead));
  struct stat facts {};
  if (!file.valid() || fstat(file.number(), &facts) != 0) {
    if (!is_nothing(errno)) {
      fail(count, path + '/' + name, errno);
    }
    return;
  }
  if (!S_ISREG(facts.st_mode)) {
    return;
  }
  QueuedTag tag;
  std::array<char, 16 * 1024> piece;  // NOLINT(*-member-init): 100,000 times
  ssize_t got = 0;
  while (!tag.found() && (got = read(file.number(), piece.data(), piece.size())) > 0) {
    tag.feed({piece.data(), static_cast<std::size_t>(got)});
  }
  if (got < 0) {
    fail(count, path + '/' + name, errno);
  }
  ++count.messages;
  count.tagged += tag.found() ? 1 : 0;
}

bool may_be(const dirent& entry, unsigned char type) {
  return entry.d_type == type || entry.d_type == DT_UNKNOWN;
}

bool is_queue_file(std::string_view name) {
  return name.size() > 2 && (name.starts_with("qf") || name.starts_with("hf"));
}

// Bodies (df) and transcripts (xf) may be in separate folders.
bool may_have_queue_files(std::string_view name) {
  return !name.starts_with('.') && name != "df" && name != "xf";
}

void count_folder(Descriptor folder, const std::string& path, int depth, QueueCount& count) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(fdopendir(folder.number()), closedir);
  if (!entries) {
    fail(count, path, errno);
    return;
  }
  folder.release();
  const Descriptor again(fcntl(dirfd(entries.get()), F_DUPFD_CLOEXEC, 3));
  errno = 0;
  while (const dirent* const entry = readdir(entries.get())) {
    const char* const name = entry->d_name;
    if (is_queue_file(name) && may_be(*entry, DT_REG)) {
      count_file(again, name, path, count);
    } else if (depth < kDeepest && may_have_queue_files(name) && may_be(*entry, DT_DIR)) {
      Descriptor below(openat(again.number(), name, kRead | O_DIRECTORY));
      if (below.valid()) {
        count_folder(std::move(below), path + '/' + name, depth + 1, count);
      } else if (!is_nothing(errno)) {
        fail(count, path + '/' + name, errno);
      }
    }
    errno = 0;
  }
  if (errno != 0) {
    fail(count, path, errno);
  }
}

}  // namespace

QueueCount count_queue(const std::string& folder) {
  QueueCount count;
  const FilePlace place = place_of(folder + "/.");
  Descriptor opened(place.folder.valid() ? openat(place.folder.number(), ".", kRead | O_DIRECTORY)
                                         : -1);
  if (opened.valid()) {
    count_folder(std::move(opened), folder, 0, count);
  } else {
    fail(count, folder, errno);
  }
  return count;
}

int check_queue(const std::string& folder) {
  const QueueCount count = count_queue(folder);
  if (!count.failure.empty()) {
    std::fprintf(stderr, "lmtpq: %s\n", count.failure.c_str());
  }
  std::printf("%s: %zu message%s, %zu of them with a tag%s\n", folder.c_str(), count.messages,
              count.messages == 1 ? " waits" : "s wait", count.tagged,
              count.failure.empty() ? "" : ", and more may be where it could not be read");
  return !count.failure.empty() ? EX_IOERR : count.tagged > 0 ? kTagged : EX_OK;
}

}  // namespace lmtpq::mailer

#include "mailer/routes/watched_route_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include "common/config_error.h"
#include "common/descriptor.h"
#include "mailer/io/waiting.h"

namespace lmtpq::mailer {
namespace {

constexpr std::chrono::seconds kBetweenChecks{1};

// Perhaps for this moment only, as when there is no free descriptor: the next check tries again.
struct Unreadable : ConfigError {
  explicit Unreadable(const std::string& path)
      : ConfigError(path + ": " + std::strerror(errno) +
                    (errno == ENOENT ? "; create it, or correct the name" : "")) {}
};

constexpr long long nanoseconds(const timespec& time) {
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void check_file(const struct stat& file, const std::string& path) {
  if (!S_ISREG(file.st_mode)) {
    throw ConfigError(path + ": not a regular file");
  }
  if ((file.st_mode & 0002) != 0) {
    throw ConfigError(path + ": the file is writable by others; run chmod o-w " + path);
  }
  if (file.st_size > static_cast<off_t>(WatchedRouteFile::kMaxSize)) {
    throw ConfigError(path + ": larger than " + std::to_string(WatchedRouteFile::kMaxSize >> 20) +
                      " MiB; use a directory for this many routes (--route-ldap)");
  }
}

struct stat status_of(int descriptor, const std::string& path) {
  struct stat file {};
  if (descriptor < 0 || fstat(descriptor, &file) != 0) {
    throw Unreadable(path);
  }
  return file;
}

std::string read_all(int descriptor, std::size_t expected, const std::string& path) {
  std::string text(expected + 1, '\0');
  std::size_t have = 0;
  while (true) {
    const ssize_t got = read(descriptor, text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      throw Unreadable(path);
    }
    have += static_cast<std::size_t>(got);
    // A file that grows while it is read is young, and is read again.
    if (got == 0 || have == text.size()) {
      text.resize(have);
      return text;
    }
  }
}

}  // namespace

WatchedRouteFile::Stamp::Stamp(const struct stat& file)
    : device(file.st_dev),
      inode(file.st_ino),
      size(file.st_size),
      written(nanoseconds(file.st_mtim)),
      changed(nanoseconds(file.st_ctim)) {}

// A time in the future comes from a wrong clock and says nothing.
bool WatchedRouteFile::Stamp::young(WallClock::time_point now) const {
  const auto since_1970 = std::chrono::nanoseconds(now.time_since_epoch()).count();
  const long long age = since_1970 - written;
  return age > -100'000'000 && age < 1'000'000'000;
}

WatchedRouteFile::WatchedRouteFile(std::string path, const Log& log, RouteFile::Check check,
                                   const WatchedRouteFile* previous, Now now, WallNow wall_now)
    : path_(std::move(path)),
      log_(log),
      check_(std::move(check)),
      now_(std::move(now)),
      wall_now_(std::move(wall_now)),
      next_check_(now_() + kBetweenChecks) {
  if (previous != nullptr && previous->path_ == path_) {
    current_ = previous->loaded();
  }
  struct stat status {};
  if (!current_.stamp || stat(path_.c_str(), &status) != 0 || current_.stamp != Stamp(status)) {
    current_ = load();
    if (current_.stamp->young(wall_now_())) {
      current_.stamp.reset();
    }
  }
  checked_ = current_.stamp;
}

WatchedRouteFile::Loaded WatchedRouteFile::loaded() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

WatchedRouteFile::Loaded WatchedRouteFile::load() const {
  const Descriptor opened(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  const struct stat status = status_of(opened.number(), path_);
  check_file(status, path_);
  const std::string text =
      read_all(opened.number(), static_cast<std::size_t>(status.st_size), path_);
  auto file = std::make_shared<const RouteFile>(RouteFile::parse(text, path_, check_));
  if (file->size() == 0) {
    // Most likely the disk was full when the file was written.
    throw ConfigError(path_ + ": no route in it; add one, or remove --route-file");
  }
  return {std::move(file), Stamp(status_of(opened.number(), path_))};
}

WatchedRouteFile::FilePtr WatchedRouteFile::current() {
  {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = now_();
    if (checking_ || now < next_check_) {
      return current_.file;
    }
    checking_ = true;
    next_check_ = now + kBetweenChecks;
  }
  try {
    run_blocking([this] { reload_if_changed(); });  // the file may be large, its disk slow
  } catch (const Unreadable& error) {
    checked_.reset();
    keep_previous(error.what());
  } catch (const ConfigError& error) {
    keep_previous(error.what());
  } catch (const std::exception& error) {
    checked_.reset();
    keep_previous(error.what());
  }
  const std::lock_guard lock(mutex_);
  checking_ = false;
  return current_.file;
}

void WatchedRouteFile::reload_if_changed() {
  struct stat status {};
  if (stat(path_.c_str(), &status) != 0) {
    throw Unreadable(path_);
  }
  const Stamp stamp(status);
  if (checked_ == stamp || stamp.young(wall_now_())) {
    return;
  }
  checked_ = stamp;
  Loaded loaded = load();
  if (loaded.stamp != stamp) {
    checked_.reset();
    return;
  }
  last_error_.clear();
  log_.info(Record("routes-loaded")
                .add("file", path_)
                .add("routes", static_cast<long long>(loaded.file->size())));
  const std::lock_guard lock(mutex_);
  std::swap(current_, loaded);  // so that the old routes are destroyed without the lock
}

void WatchedRouteFile::keep_previous(const std::string& reason) {
  if (reason != last_error_) {
    last_error_ = reason;
    log_.error(Record("routes-rejected")
                   .add("file", path_)
                   .add("error", reason)
                   .add("effect", "previous routes kept"));
  }
}

}  // namespace lmtpq::mailer

#include "mailer/routes/watched_route_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "common/config_error.h"
#include "common/descriptor.h"
#include "mailer/io/disk_threads.h"
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
    // No more, or no more room: a file that grows while it is read is young, and is read again.
    if (got == 0) {
      text.resize(have);
      return text;
    }
    have += static_cast<std::size_t>(got);
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

struct WatchedRouteFile::Watch {
  Watch(std::string path_of_file, const Log& log_of_all, RouteFile::Check check_of_one, Now clock,
        WallNow wall_clock)
      : path(std::move(path_of_file)),
        log(log_of_all),
        check(std::move(check_of_one)),
        now(std::move(clock)),
        wall_now(std::move(wall_clock)),
        next_check(now() + kBetweenChecks) {}

  Loaded load() const;
  Loaded loaded() const;
  void look() noexcept;
  void reload_or_keep();
  void reload_if_changed();
  void keep_previous(const std::string& reason);

  const std::string path;
  const Log& log;
  const RouteFile::Check check;
  const Now now;
  const WallNow wall_now;
  mutable std::mutex mutex;
  Waiter looked;  // the look-up for which the file is checked
  Loaded current;
  Clock::time_point next_check;
  bool checking = false;         // one thread does; the members below belong to it
  std::optional<Stamp> checked;  // loaded or rejected; empty: load it at the next check
  std::string last_error;        // empty: the file was loaded
};

WatchedRouteFile::WatchedRouteFile(std::string path, const Log& log, RouteFile::Check check,
                                   const WatchedRouteFile* previous, Now now, WallNow wall_now)
    : watch_(std::make_shared<Watch>(std::move(path), log, std::move(check), std::move(now),
                                     std::move(wall_now))) {
  Watch& watch = *watch_;
  if (previous != nullptr && previous->watch_->path == watch.path) {
    watch.current = previous->watch_->loaded();
  }
  struct stat status {};
  Loaded& current = watch.current;
  if (!current.stamp || stat(watch.path.c_str(), &status) != 0 || current.stamp != Stamp(status)) {
    current = watch.load();
    if (current.stamp->young(watch.wall_now())) {
      current.stamp.reset();
    }
  }
  watch.checked = current.stamp;
}

WatchedRouteFile::~WatchedRouteFile() = default;

WatchedRouteFile::Loaded WatchedRouteFile::Watch::loaded() const {
  const std::lock_guard lock(mutex);
  return current;
}

WatchedRouteFile::Loaded WatchedRouteFile::Watch::load() const {
  const Descriptor opened(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  const struct stat status = status_of(opened.number(), path);
  check_file(status, path);
  const std::string text =
      read_all(opened.number(), static_cast<std::size_t>(status.st_size), path);
  auto parsed = std::make_unique<const RouteFile>(RouteFile::parse(text, path, check));
  if (parsed->size() == 0) {
    // Most likely the disk was full when the file was written.
    throw ConfigError(path + ": no route in it; add one, or remove --route-file");
  }
  // Freeing a million routes takes time, and the last that has them may be a fiber.
  FilePtr file(parsed.release(),
               [](const RouteFile* old) { leave_to_disk([old] { delete old; }); });
  return {std::move(file), Stamp(status_of(opened.number(), path))};
}

WatchedRouteFile::FilePtr WatchedRouteFile::current() {
  Watch& watch = *watch_;
  std::unique_lock lock(watch.mutex);
  const Clock::time_point now = watch.now();
  if (watch.checking || now < watch.next_check) {
    return watch.current.file;
  }
  watch.checking = true;
  watch.next_check = now + kBetweenChecks;
  lock.unlock();
  bool apart = false;
  try {
    if (Scheduler::current() != nullptr) {
      std::thread([shared = watch_] { shared->look(); }).detach();
      apart = true;
    }
  } catch (const std::exception&) {
    // No thread can be started: the other fibers must wait.
  }
  if (!apart) {
    watch.look();
  }
  lock.lock();
  watch.looked.wait_until(lock, Clock::now() + kPatience, [&] { return !watch.checking; });
  return watch.current.file;
}

void WatchedRouteFile::Watch::look() noexcept {
  try {
    reload_or_keep();
  } catch (const std::exception&) {
    checked.reset();  // no memory, not even for a log line: the next check tries again
  }
  const std::lock_guard lock(mutex);
  checking = false;
  looked.call();
}

// The file may be large, its disk slow.
void WatchedRouteFile::Watch::reload_or_keep() {
  try {
    reload_if_changed();
  } catch (const Unreadable& error) {
    checked.reset();
    keep_previous(error.what());
  } catch (const ConfigError& error) {
    keep_previous(error.what());
  } catch (const std::exception& error) {
    checked.reset();
    keep_previous(error.what());
  }
}

void WatchedRouteFile::Watch::reload_if_changed() {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    throw Unreadable(path);
  }
  const Stamp stamp(status);
  if (checked == stamp || stamp.young(wall_now())) {
    return;
  }
  checked = stamp;
  Loaded loaded = load();
  if (loaded.stamp != stamp) {
    checked.reset();
    return;
  }
  last_error.clear();
  log.info(Record("routes-loaded")
               .add("file", path)
               .add("routes", static_cast<long long>(loaded.file->size())));
  const std::lock_guard lock(mutex);
  std::swap(current, loaded);  // so that the old routes are destroyed without the lock
}

void WatchedRouteFile::Watch::keep_previous(const std::string& reason) {
  if (reason != last_error) {
    last_error = reason;
    log.error(Record("routes-rejected")
                  .add("file", path)
                  .add("error", reason)
                  .add("effect", "previous routes kept"));
  }
}

}  // namespace lmtpq::mailer

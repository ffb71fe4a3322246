// Routes from a file, which is read again when it changes.
//
// At most once a second one look-up checks whether the file has changed, and reads it; the others
// go on with the previous routes. A file younger than a second may not be written completely yet
// (an editor, rsync --inplace), so a change takes effect a second later.
//
// May be used by several threads. The constructor throws ConfigError with file, line and remedy.
// Later, while the file is broken, empty or missing, the previous routes stay in use and the log
// has one error line for each reason.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "common/log/log.h"
#include "mailer/io/channel.h"
#include "mailer/routes/route_file.h"

namespace lmtpq::mailer {

class WatchedRouteFile : public Routes {
 public:
  static constexpr std::size_t kMaxSize = 64u << 20;
  using Now = std::function<Clock::time_point()>;
  using WallClock = std::chrono::system_clock;
  using WallNow = std::function<WallClock::time_point()>;

  // `check` may refuse a destination, here and at each change of the file. The routes of
  // `previous`, if there is one, are shared if the file has not changed since they were loaded: it
  // must have the same check. `now` is for the time between two checks of the file, `wall_now` for
  // its age.
  WatchedRouteFile(std::string path, const Log& log, RouteFile::Check check = {},
                   const WatchedRouteFile* previous = nullptr, Now now = &Clock::now,
                   WallNow wall_now = &WallClock::now);

  Route find(const Mailbox& recipient) override { return current()->find(recipient); }
  std::size_t size() { return current()->size(); }

 private:
  using FilePtr = std::shared_ptr<const RouteFile>;
  // Differs after the file was changed or replaced.
  struct Stamp {
    explicit Stamp(const struct stat& file);
    bool operator==(const Stamp&) const = default;
    dev_t device;
    ino_t inode;
    off_t size;
    long long written;  // nanoseconds since 1970
    long long changed;  // content, mode or owner

    bool young(WallClock::time_point now) const;  // it may be written at this moment
  };
  struct Loaded {
    FilePtr file;
    std::optional<Stamp> stamp;  // empty: it was young, and may have changed since
  };

  Loaded load() const;
  Loaded loaded() const;
  FilePtr current();
  void reload_if_changed();
  void keep_previous(const std::string& reason);

  const std::string path_;
  const Log& log_;
  const RouteFile::Check check_;
  const Now now_;
  const WallNow wall_now_;
  mutable std::mutex mutex_;
  Loaded current_;
  Clock::time_point next_check_;
  bool checking_ = false;         // one thread does; the members below belong to it
  std::optional<Stamp> checked_;  // loaded or rejected; empty: load it at the next check
  std::string last_error_;        // empty: the file was loaded
};

}  // namespace lmtpq::mailer

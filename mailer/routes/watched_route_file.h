// Routes from a file, which is read again when it changes.
//
// At most once a second a look-up has the file checked, and read if it has changed. Until it is
// read, all look-ups have the previous routes. The one that found the change waits for the new ones
// first, on a fiber for kPatience at most: a file that is read sooner counts from the first message
// on. A file younger than a second may not be written completely yet (an editor, rsync --inplace),
// so a change takes effect a second later.
//
// May be used by several threads. On a fiber another thread reads, which may go on after the end of
// this object, and then still uses the log. The constructor throws ConfigError with file, line and
// remedy.
// Later, while the file is broken, empty or missing, the previous routes stay in use and the log
// has one error line for each reason.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/log/log.h"
#include "mailer/io/channel.h"
#include "mailer/routes/route_file.h"

namespace lmtpq::mailer {

class WatchedRouteFile : public Routes {
 public:
  static constexpr std::size_t kMaxSize = 64u << 20;
  static constexpr std::chrono::milliseconds kPatience{500};
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
  ~WatchedRouteFile() override;

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

  struct Watch;

  FilePtr current();

  const std::shared_ptr<Watch> watch_;  // also of the thread that reads
};

}  // namespace lmtpq::mailer

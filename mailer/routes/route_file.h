// A map of routes in a file, read again when the file changes.
//
// What it is: a RouteTable, and the watch over the file that it came from.
// What it does not know: the file's form (RouteTable has it), any other map.
// Called by: made at start and by SIGHUP; FanOut asks through Routes.
// Threads and lifetimes: may be used by several threads. One of them reads a changed file, while
//   the others go on with the table of before.
// Failure: the constructor throws ConfigError with file, line and remedy. Later a file that is
//   broken, empty or away leaves the table of before in its place, with one error line in the log;
//   once it is mended it is taken.
// Rules: the file is looked at once a second at most. While it is younger than a second it may
//   still be in the making (an editor, rsync --inplace), so a change is taken a second later.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "common/log.h"
#include "mailer/io/channel.h"
#include "mailer/routes/route_table.h"

namespace lmtpq::mailer {

class RouteFile : public Routes {
 public:
  static constexpr std::size_t kMaxSize = 64u << 20;
  using Now = std::function<Clock::time_point()>;

  RouteFile(std::string path, const Log& log, Now now = &Clock::now);

  Route find(const Mailbox& recipient) override { return table()->find(recipient); }
  std::size_t size() { return table()->size(); }

 private:
  using Table = std::shared_ptr<const RouteTable>;
  // What a file that was changed or replaced differs in.
  struct Stamp {
    explicit Stamp(const struct stat& facts);
    bool operator==(const Stamp&) const = default;
    dev_t device;
    ino_t inode;
    off_t size;
    long long written;  // nanoseconds since 1970
    long long changed;  // its mode or owner, too

    bool young() const;  // it may be written at this moment
  };
  struct Loaded {
    Table table;
    Stamp stamp;
  };

  static Loaded load(const std::string& path);
  Table table();
  void look();
  void complain(const std::string& words);

  const std::string path_;
  const Log& log_;
  const Now now_;
  std::mutex mutex_;
  Table table_;
  Clock::time_point next_look_;
  bool looking_ = false;         // somebody; the rest is his
  std::optional<Stamp> judged_;  // taken or refused; empty: the file is to be read at the next look
  std::string complaint_;        // the last one; empty: all is well
};

}  // namespace lmtpq::mailer

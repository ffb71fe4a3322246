#include "mailer/routes/route_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <exception>

#include "common/config_error.h"
#include "common/descriptor.h"
#include "mailer/io/waiting.h"

namespace lmtpq::mailer {
namespace {

constexpr std::chrono::seconds kBetweenLooks{1};

// Perhaps only at this moment: descriptors or memory are at their end.
struct Unreadable : ConfigError {
  explicit Unreadable(const std::string& path) : ConfigError(path + ": " + std::strerror(errno)) {}
};

constexpr long long nanoseconds(const timespec& time) {
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void check_file(const struct stat& file, const std::string& path) {
  if (!S_ISREG(file.st_mode)) {
    throw ConfigError(path + ": not a regular file");
  }
  if ((file.st_mode & 0002) != 0) {
    throw ConfigError(path + ": others may write the routes; chmod o-w " + path);
  }
  if (file.st_size > static_cast<off_t>(RouteFile::kMaxSize)) {
    throw ConfigError(path + ": larger than " + std::to_string(RouteFile::kMaxSize >> 20) +
                      " MiB; a directory (--route-ldap) holds more");
  }
}

struct stat facts_of(int descriptor, const std::string& path) {
  struct stat facts {};
  if (descriptor < 0 || fstat(descriptor, &facts) != 0) {
    throw Unreadable(path);
  }
  return facts;
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
    // What grows meanwhile is young, and read again.
    if (got == 0 || have == text.size()) {
      text.resize(have);
      return text;
    }
  }
}

}  // namespace

RouteFile::Stamp::Stamp(const struct stat& facts)
    : device(facts.st_dev),
      inode(facts.st_ino),
      size(facts.st_size),
      written(nanoseconds(facts.st_mtim)),
      changed(nanoseconds(facts.st_ctim)) {}

// A time in the future is a wrong clock's and says nothing.
bool RouteFile::Stamp::young() const {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const long long age = nanoseconds(now) - written;
  return age > -100'000'000 && age < 1'000'000'000;
}

RouteFile::RouteFile(std::string path, const Log& log, Now now)
    : path_(std::move(path)), log_(log), now_(std::move(now)), next_look_(now_() + kBetweenLooks) {
  Loaded loaded = load(path_);
  table_ = std::move(loaded.table);
  if (!loaded.stamp.young()) {
    judged_ = loaded.stamp;
  }
}

RouteFile::Loaded RouteFile::load(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  const struct stat facts = facts_of(file.number(), path);
  check_file(facts, path);
  const std::string text = read_all(file.number(), static_cast<std::size_t>(facts.st_size), path);
  auto table = std::make_shared<const RouteTable>(RouteTable::parse(text, path));
  if (table->size() == 0) {
    // Most likely the disk was full when it was written.
    throw ConfigError(path + ": no route in it; write one, or leave --route-file out");
  }
  return {std::move(table), Stamp(facts_of(file.number(), path))};
}

RouteFile::Table RouteFile::table() {
  {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = now_();
    if (looking_ || now < next_look_) {
      return table_;
    }
    looking_ = true;
    next_look_ = now + kBetweenLooks;
  }
  try {
    run_blocking([this] { look(); });  // it may be large, its disk slow
  } catch (const Unreadable& error) {
    judged_.reset();
    complain(error.what());
  } catch (const ConfigError& error) {
    complain(error.what());
  } catch (const std::exception& error) {
    judged_.reset();
    complain(error.what());
  }
  const std::lock_guard lock(mutex_);
  looking_ = false;
  return table_;
}

// One thread's at a time.
void RouteFile::look() {
  struct stat facts {};
  if (stat(path_.c_str(), &facts) != 0) {
    throw Unreadable(path_);
  }
  const Stamp stamp(facts);
  if (judged_ == stamp || stamp.young()) {
    return;
  }
  judged_ = stamp;
  Loaded loaded = load(path_);
  if (!(loaded.stamp == stamp)) {
    judged_.reset();
    return;
  }
  complaint_.clear();
  log_.info(
      Record().add("routes", path_).add("taken", static_cast<long long>(loaded.table->size())));
  const std::lock_guard lock(mutex_);
  table_.swap(loaded.table);
}

void RouteFile::complain(const std::string& words) {
  if (words != complaint_) {
    complaint_ = words;
    log_.error(
        Record().add("routes", path_).add("refused", words).add("kept", "the routes of before"));
  }
}

}  // namespace lmtpq::mailer

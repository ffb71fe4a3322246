// lmtpq keygen: prints a key; makes the key file; changes the keys in it.

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "common/options/option_table.h"
#include "common/privileges.h"
#include "common/tag/key_file.h"
#include "mailer/commands.h"
#include "mailer/keys/key_file_writer.h"
#include "mailer/keys/key_readers.h"
#include "mailer/keys/key_rotation.h"

namespace lmtpq::mailer {
namespace {

constexpr mode_t kKeyMode = 0640;
constexpr mode_t kFolderMode = 0751;  // as in dist/tmpfiles.d

constexpr const char* kUsage =
    "usage: lmtpq keygen\n"
    "       lmtpq keygen --install [FILE]\n"
    "       lmtpq keygen --rotate [FILE] [--tag-lifetime TIME]\n"
    "\n"
    "Without options: prints a new key, a line of the key file. The first key in the file signs; "
    "all\n"
    "keys verify. FILE is /etc/lmtpq/tag.keys by default.\n\n";

struct KeygenOptions {
  bool install = false;
  bool rotate = false;
  std::string lifetime;
  std::string milter_config;
};

OptionTable option_table(KeygenOptions& options) {
  return under(
      "The key file",
      {argv_only(value("install", "", "no",
                       "make FILE with owner root, group lmtpq and mode 640, which relay, serve "
                       "and lmtpq-milter can read; check a file that exists, and never change it",
                       reader::boolean(options.install))),
       argv_only(value("rotate", "", "no",
                       "let the next key of FILE sign, add a new next key, and remove keys whose "
                       "tags have expired",
                       reader::boolean(options.rotate))),
       argv_only(value("tag-lifetime", "TIME", "",
                       "how long a tag of the former key may be in use; default: tag-lifetime of "
                       "the milter's file, otherwise 7d",
                       reader::text(options.lifetime))),
       argv_only(value("milter-config", "FILE", "/etc/lmtpq/milter.conf",
                       "the file of lmtpq-milter, if it exists",
                       reader::text(options.milter_config)))});
}

int print_key() {
  std::fputs(Key::generate().line().c_str(), stdout);
  return EX_OK;
}

gid_t service_group() {
  const group* const entry = getgrnam(kServiceUser);
  if (getpwnam(kServiceUser) == nullptr || entry == nullptr) {
    throw ConfigError(std::string("no user and group ") + kServiceUser +
                      " on this system, who read the key; make them: systemd-sysusers, after make "
                      "install, or install the Debian package lmtpq");
  }
  return entry->gr_gid;
}

// As the package makes it. One that exists stays as it is.
void make_folder(const std::string& path, gid_t group) {
  const FilePlace place = place_of(folder_of(path));
  if (!place.folder.valid() || mkdirat(place.folder.number(), place.name.c_str(), S_IRWXU) != 0) {
    return;  // what is missing is reported when the file is made
  }
  const Descriptor folder(openat(place.folder.number(), place.name.c_str(),
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid() || fchown(folder.number(), 0, group) != 0 ||
      fchmod(folder.number(), kFolderMode) != 0) {
    throw ConfigError(folder_of(path) + ": " + std::strerror(errno));
  }
}

int install(const std::string& path) {
  if (geteuid() != 0) {
    throw ConfigError(path + ": only root can make it, as it will belong to root");
  }
  const gid_t group = service_group();
  make_folder(path, group);
  KeyFileWriter file(path);
  const bool made = file.create(first_keys(time(nullptr)).text(), 0, group, kKeyMode);
  const std::size_t keys = require_key_readers(path);
  std::printf("%s: %s, %zu keys, root and the user %s can read it, ok\n", path.c_str(),
              made ? "made" : "exists, not changed", keys, kServiceUser);
  return EX_OK;
}

// All other settings are the milter's, which also reports their errors.
std::chrono::seconds lifetime_of(const KeygenOptions& options) {
  std::string text = options.lifetime;
  std::string place = "--tag-lifetime";
  if (text.empty()) {
    Findings others;
    OptionReader milter({value("tag-lifetime", "TIME", "7d", "", reader::text(text))});
    milter.collect_errors(&others);
    milter.take_file(options.milter_config, false);
    milter.apply();
    place = milter.places().of("tag-lifetime");
  }
  std::chrono::milliseconds lifetime{0};
  at_place(place, [&] { reader::positive_duration(lifetime)(text); });
  return std::chrono::ceil<std::chrono::seconds>(lifetime);
}

void print_keys(const KeyChange& change) {
  for (const auto& [id, role] : change.keys) {
    std::printf("  %-16s  %s\n", id.c_str(), role.c_str());
  }
}

int rotate(const std::string& path, const KeygenOptions& options) {
  const std::chrono::seconds lifetime = lifetime_of(options);
  KeyFileWriter file(path);
  const Secret old = file.read();
  const KeyChange change = change_keys(old.text(), path, time(nullptr), lifetime);
  if (change.not_before != 0) {
    std::printf("%s: not changed, the next key is too new: a program may not know it yet\n",
                path.c_str());
    print_keys(change);
    return EX_TEMPFAIL;
  }
  file.replace(change.text.text());
  std::printf("%s: changed\n", path.c_str());
  print_keys(change);
  std::printf(
      "Copy it to the other hosts that have this file, if there are any. Then, in any order, "
      "reload\n"
      "the daemon and the milter (systemctl reload lmtpq lmtpq-milter) on each of them. lmtpq "
      "relay\n"
      "reads the file at each start. Change the keys again only after that.\n");
  return EX_OK;
}

int run(const OptionReader& reader, const KeygenOptions& options,
        const std::vector<std::string>& operands) {
  const bool names_settings =
      reader.named_in_arguments("tag-lifetime") || reader.named_in_arguments("milter-config");
  if ((options.install && options.rotate) || (names_settings && !options.rotate) ||
      operands.size() > (options.install || options.rotate ? 1 : 0)) {
    std::fputs("lmtpq: these arguments do not belong together; see lmtpq keygen --help\n", stderr);
    return EX_USAGE;
  }
  const std::string path = operands.empty() ? kDefaultKeyFile : operands[0];
  return options.install ? install(path) : options.rotate ? rotate(path, options) : print_key();
}

}  // namespace

int run_keygen(const std::vector<std::string>& arguments) {
  KeygenOptions options;
  OptionReader reader(option_table(options), {}, {"lmtpq keygen --help", "lmtpq(8)"});
  const auto wish = lmtpq::wished_help(arguments, [&] { return option_table(options); });
  if (wish != HelpWish::kNone) {
    std::printf("%s%s", kUsage, reader.help(wish).c_str());
    return EX_OK;
  }
  signal(SIGXFSZ, SIG_IGN);  // a write over the limit fails with EFBIG instead
  forbid_core_dumps();
  try {
    const std::vector<std::string> operands = reader.take_arguments(arguments);
    reader.apply();
    return run(reader, options, operands);
  } catch (const ConfigError& error) {
    std::fprintf(stderr, "lmtpq: %s\n", error.what());
    return EX_CONFIG;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lmtpq: %s\n", error.what());
    return EX_CANTCREAT;
  }
}

}  // namespace lmtpq::mailer

#include "mailer/keys/key_readers.h"

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/config_error.h"
#include "common/descriptor.h"
#include "common/privileges.h"
#include "common/secret.h"
#include "common/tag/key_file.h"

namespace lmtpq::mailer {
namespace {

constexpr const char* kContents = "the keys";

// Of the folders that lead to the file, the first that this process's user may not pass.
std::string closed_folder(const std::string& path) {
  for (std::size_t end = path.find('/', 1); end != std::string::npos;
       end = path.find('/', end + 1)) {
    std::string folder = path.substr(0, end);
    if (access(folder.c_str(), X_OK) != 0) {
      return folder;
    }
  }
  return "";
}

// Empty: it can use the file. Otherwise the error, and what to run if that is not chown and chmod.
struct Fault {
  std::string error, remedy;
};

Fault fault_as_user(const std::string& path) {
  try {
    drop_privileges(kServiceUser);
    read_secret_file(path, geteuid(), kContents);
    return {};
  } catch (const ConfigError& error) {
    const std::string folder = closed_folder(path);
    return folder.empty() ? Fault{error.what(), ""}
                          : Fault{path + ": " + folder + " is closed to the user " + kServiceUser,
                                  "chmod a+x " + folder};
  }
}

// In another process, since the change of user is for good.
Fault fault_of_service(const std::string& path) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) {
    throw std::runtime_error(std::string("pipe: ") + std::strerror(errno));
  }
  Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    const Fault fault = fault_as_user(path);
    dprintf(writing.number(), "%s\n%s", fault.error.c_str(), fault.remedy.c_str());
    _exit(0);
  }
  writing = Descriptor();
  std::string text;
  std::array<char, 512> part{};
  for (ssize_t got = 1; got > 0;) {
    got = read(reading.number(), part.data(), part.size());
    text.append(part.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  }
  int status = 0;
  const std::size_t end = text.find('\n');
  if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0 || end == std::string::npos) {
    throw std::runtime_error(path + ": could not be tried as the user " + kServiceUser);
  }
  return {text.substr(0, end), text.substr(end + 1)};
}

std::string owner_and_mode(const struct stat& facts) {
  const group* const entry = getgrgid(facts.st_gid);
  std::array<char, 8> mode{};
  std::snprintf(mode.data(), mode.size(), "%04o", static_cast<unsigned>(facts.st_mode & 07777));
  return "owner " + user_name(facts.st_uid) + ':' +
         (entry != nullptr ? entry->gr_name : std::to_string(facts.st_gid)) + ", mode " +
         mode.data();
}

// The cause of an error alone: what follows its first semicolon is a remedy for any file.
[[noreturn]] void refuse(const std::string& path, const Fault& fault) {
  const std::string cause = fault.error.substr(0, fault.error.find(';'));
  struct stat facts {};
  if (stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) {
    throw ConfigError(cause + "; remove it, and run this again");
  }
  const group* const wanted = getgrnam(kServiceUser);
  const bool is_right = facts.st_uid == 0 && wanted != nullptr && facts.st_gid == wanted->gr_gid &&
                        (facts.st_mode & 07777) == 0640;
  if (is_right && fault.remedy.empty()) {
    throw ConfigError(fault.error);
  }
  const std::string remedy = fault.remedy.empty() ? "chown root:" + std::string(kServiceUser) +
                                                        ' ' + path + " && chmod 640 " + path
                                                  : fault.remedy;
  throw ConfigError(cause + " (" + owner_and_mode(facts) + "); run: " + remedy);
}

// Its owner could have it lead to any other file a moment later.
void refuse_link(const std::string& path) {
  struct stat facts {};
  if (lstat(path.c_str(), &facts) == 0 && S_ISLNK(facts.st_mode) && facts.st_uid != 0) {
    throw ConfigError(path + ": is a symbolic link of the user " + user_name(facts.st_uid) +
                      "; remove it, and run this again");
  }
}

Secret read_as_root(const std::string& path) {
  try {
    return read_secret_file(path, 0, kContents);
  } catch (const ConfigError& error) {
    refuse(path, {error.what(), ""});
  }
}

}  // namespace

std::size_t require_key_readers(const std::string& path) {
  refuse_link(path);
  const Secret text = read_as_root(path);
  const Fault fault = fault_of_service(path);
  if (!fault.error.empty()) {
    refuse(path, fault);
  }
  const std::size_t keys = parse_keys(text.text(), path).keys().size();
  if (keys == 0) {
    throw ConfigError(path + ": contains no key; append one: lmtpq keygen >> " + path);
  }
  return keys;
}

}  // namespace lmtpq::mailer

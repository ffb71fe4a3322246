#include "mailer/serve/check/milter_check.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "common/open_file.h"
#include "common/options/option_table.h"

namespace lmtpq::mailer {
namespace {

// Beside this program as in a build, or in PREFIX/sbin of PREFIX/libexec/lmtpq.
std::optional<std::string> milter_program() {
  std::error_code failed;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
  for (const auto& place : {folder, (folder / "../../sbin").lexically_normal()}) {
    const std::string path = place / "lmtpq-milter";
    if (access(path.c_str(), X_OK) == 0) {
      return path;
    }
  }
  return std::nullopt;
}

// The user of the milter need not be that of the mailer.
bool names_a_user(const std::string& file) {
  Findings others;  // the milter reports them
  std::string user;
  OptionReader options({value("user", "USER", "", "", reader::text(user))});
  options.collect_errors(&others);
  others.attempt([&] { options.take_file(file, true); });
  options.apply();
  return !user.empty();
}

bool run(std::vector<std::string> words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  pid_t child = 0;
  const int error = posix_spawn(&child, argv[0], nullptr, nullptr, argv.data(), environ);
  if (error != 0) {
    throw ConfigError(words[0] + ": " + std::strerror(error));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

void check_milter(const std::string& config, const std::string& milter_config,
                  const std::string& user, Findings& findings) {
  const std::string file =
      milter_config.empty() ? folder_of(config) + "/milter.conf" : milter_config;
  if (milter_config.empty() && access(file.c_str(), F_OK) != 0 && errno == ENOENT) {
    return;
  }
  const auto program = milter_program();
  if (!program) {
    findings.warning(file + ": not checked, as lmtpq-milter is not installed");
    return;
  }
  std::vector<std::string> words{*program, "--check", "--config=" + file};
  if (!user.empty() && !names_a_user(file)) {
    words.push_back("--user=" + user);
  }
  if (!run(std::move(words))) {
    findings.error(file + ": has errors, see the lines of lmtpq-milter");
  }
}

}  // namespace lmtpq::mailer

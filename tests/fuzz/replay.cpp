// Runs a fuzz target over files, and over the files in folders, each in a separate process.
// Replaces libFuzzer where the compiler has none. Prints a line per file, then the sum.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(int argc, char** argv) {
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    if (!fs::is_directory(argv[i])) {
      files.emplace_back(argv[i]);
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(argv[i])) {
      if (entry.is_regular_file()) {
        files.push_back(entry.path());
      }
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Runs in the child; returns its exit status.
int run(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    return 1;
  }
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

// Empty: the target accepted the file.
std::string trouble_with(const fs::path& file) {
  const pid_t child = fork();
  if (child < 0) {
    return std::strerror(errno);
  }
  if (child == 0) {
    _exit(run(file));
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) {
    return std::strerror(errno);
  }
  if (WIFSIGNALED(status)) {
    return std::string("ended by signal ") + strsignal(WTERMSIG(status));
  }
  return WEXITSTATUS(status) == 0 ? "" : "exit status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

int main(int argc, char** argv) {
  int passed = 0;
  int failed = 0;
  for (const fs::path& file : files_of(argc, argv)) {
    const std::string trouble = trouble_with(file);
    const std::string name = file.parent_path().filename() / file.filename();
    if (trouble.empty()) {
      ++passed;
      std::cout << "ok " << name << std::endl;
    } else {
      ++failed;
      std::cout << "not ok " << name << ": " << trouble << std::endl;
    }
  }
  std::cout << passed << " passed, " << failed << " failed" << std::endl;
  return failed == 0 && passed > 0 ? 0 : 1;
}

#include "tests/dialogues/scratch.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace dialogues {

Scratch::Scratch(const Script& script)
    : path_(std::filesystem::temp_directory_path() / "lmtpq-dialogue.XXXXXX") {
  if (mkdtemp(path_.data()) == nullptr) {
    throw std::runtime_error("no scratch folder " + path_);
  }
  std::ofstream(path_ + "/empty.conf");
  for (const auto& [name, text] : script.files) {
    std::ofstream(path_ + "/" + name, std::ios::binary) << text;
    std::filesystem::permissions(path_ + "/" + name, std::filesystem::perms::owner_read |
                                                         std::filesystem::perms::owner_write);
  }
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Scratch::read(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> options_of(const Script& script, const std::string& scratch) {
  std::vector<std::string> made{"--log=" + scratch + "/log", "--hostname=lmtpq.example",
                                "--config=" + scratch + "/empty.conf", "--tag-keys=none"};
  const auto add = [&](std::string option) {
    const std::size_t at = option.find("$DIR");
    made.push_back(at == std::string::npos ? option : option.replace(at, 4, scratch));
  };
  for (const std::string& option : script.options) {
    add(option);
  }
  return made;
}

}  // namespace dialogues

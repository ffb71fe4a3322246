// A file with settings, and how a command reads it.
#pragma once

#include "mailer/settings/load_settings.h"
#include "tests/unit/common/scratch_file.h"

namespace lmtpq::mailer {

class SettingsFileFixture : public ScratchFileFixture {
 protected:
  using Words = std::vector<std::string>;

  SettingsFileFixture() : ScratchFileFixture("lmtpq.conf") {}

  DaemonSettings daemon(std::string_view file, Words arguments = {}) const {
    write(file);
    arguments.insert(arguments.begin(), "--config=" + file_);
    return load_daemon_settings(arguments);
  }

  // The error's text, with FILE for the file's name.
  template <typename Act>
  std::string complaint(Act act) const {
    try {
      act();
    } catch (const ConfigError& error) {
      std::string words = error.what();
      for (std::size_t at; (at = words.find(file_)) != std::string::npos;) {
        words.replace(at, file_.size(), "FILE");
      }
      return words;
    }
    return "no error";
  }
};

}  // namespace lmtpq::mailer

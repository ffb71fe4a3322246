// A log that writes to a file of the test, or to a socket in place of syslogd's.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "common/log/log.h"
#include "tests/unit/common/scratch_file.h"

namespace lmtpq {

class LogWriterFixture : public ScratchFileFixture {
 public:
  LogWriterFixture() : ScratchFileFixture("log_writer") {}
  void setUp() override {
    ScratchFileFixture::setUp();
    socket_ = folder_ + "/syslog";
    alarm(120);  // ends a test that hangs
  }
  void tearDown() override {
    alarm(0);
    ScratchFileFixture::tearDown();
  }

 protected:
  std::unique_ptr<Log> log_to(const std::string& where) const {
    return std::make_unique<Log>("lmtpq", where, LogLevel::kDebug, socket_);
  }
  static Record numbered(int number) { return Record("x").add("n", number); }
  static std::vector<std::string> lines_of(const std::string& file) {
    std::ifstream in(file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) {
      lines.push_back(line.substr(std::min(line.size(), line.find("event="))));
    }
    return lines;
  }

  std::string socket_;
};

}  // namespace lmtpq

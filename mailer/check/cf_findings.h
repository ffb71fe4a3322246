// The errors and warnings about a sendmail.cf, each a line `FILE:LINE: error|warning: TEXT`.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "common/findings.h"

namespace lmtpq::mailer {

class CfFindings {
 public:
  explicit CfFindings(std::string file) : file_(std::move(file)) {}

  // Line 0: the file as a whole.
  void error(std::size_t line, const std::string& text) {
    count_.error(add(line, "error: " + text));
  }
  void warning(std::size_t line, const std::string& text) {
    count_.warning(add(line, "warning: " + text));
  }
  const std::vector<std::string>& lines() const { return lines_; }
  // "ok, 1 warning".
  std::string summary() const { return count_.summary(); }
  bool any_error() const { return count_.errors() != 0; }

 private:
  const std::string& add(std::size_t line, const std::string& text) {
    const std::string place = file_ + (line == 0 ? "" : ':' + std::to_string(line)) + ": ";
    return lines_.emplace_back(place + text);
  }

  std::string file_;
  std::vector<std::string> lines_;
  Findings count_;
};

}  // namespace lmtpq::mailer

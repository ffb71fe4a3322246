// What a check finds wrong with a configuration: errors and warnings, each once, in the order in
// which they were found.
//
// A start loads its configuration with the same functions, and without Findings: attempt() then
// lets the first ConfigError through. Used by one thread.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "common/config_error.h"
#include "common/shortage.h"

namespace lmtpq {

class Findings {
 public:
  void error(const std::string& text) { add({text, true}); }
  void warning(const std::string& text) { add({text, false}); }
  std::size_t errors() const { return count(true); }

  // The ConfigError or Shortage of `action` becomes an error in the list.
  template <typename Action>
  void attempt(Action action) {
    try {
      action();
    } catch (const ConfigError& failure) {
      error(failure.what());
    } catch (const Shortage& shortage) {
      error(shortage.what());
    }
  }

  // To standard error: `PROGRAM: TEXT` for an error, `PROGRAM: warning: TEXT` for a warning.
  void print(const char* program) const {
    for (const Finding& one : list_) {
      std::fprintf(stderr, "%s: %s%s\n", program,
                   one.is_error ? "" : "warning: ", one.text.c_str());
    }
  }
  // "ok", "ok, 1 warning", "2 errors, 1 warning".
  std::string summary() const {
    const std::size_t warnings = count(false);
    return (errors() == 0 ? "ok" : counted(errors(), "error")) +
           (warnings == 0 ? "" : ", " + counted(warnings, "warning"));
  }

 private:
  struct Finding {
    std::string text;
    bool is_error;
    bool operator==(const Finding&) const = default;
  };
  void add(Finding one) {
    if (std::find(list_.begin(), list_.end(), one) == list_.end()) {
      list_.push_back(std::move(one));
    }
  }
  std::size_t count(bool errors) const {
    return static_cast<std::size_t>(std::count_if(
        list_.begin(), list_.end(), [&](const Finding& one) { return one.is_error == errors; }));
  }
  static std::string counted(std::size_t number, const std::string& what) {
    return std::to_string(number) + ' ' + what + (number == 1 ? "" : "s");
  }

  std::vector<Finding> list_;
};

// With Findings the error goes there; with nullptr it is thrown.
template <typename Action>
void attempt(Findings* findings, Action action) {
  if (findings == nullptr) {
    action();
  } else {
    findings->attempt(action);
  }
}

}  // namespace lmtpq

// Plays the dialogues named on the command line, each in memory and against the program, and the
// matrix of the bad store; prints one line for each.
//
// usage: dialogues LMTPQ [SCRIPT_OR_FOLDER...] [--only SUBSTRING] [--self-test]

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <iostream>
#include <mutex>
#include <thread>

#include "tests/dialogues/bad_store.h"
#include "tests/dialogues/binary_player.h"
#include "tests/dialogues/memory_player.h"
#include "tests/dialogues/pattern.h"

namespace dialogues {
namespace {

constexpr const char* kMustFail = "tests/dialogues/must_fail";

struct Case {
  std::string name;
  std::function<std::string()> play;  // returns the failure; empty: none
};

struct Arguments {
  std::string lmtpq;
  std::vector<std::string> scripts;
  std::string only;
  bool self_test = false;
};

std::vector<std::string> scripts_below(const std::string& path) {
  if (!std::filesystem::is_directory(path)) {
    return {path};
  }
  std::vector<std::string> found;
  for (auto at = std::filesystem::recursive_directory_iterator(path);
       at != std::filesystem::recursive_directory_iterator(); ++at) {
    if (at->is_directory() && at->path().filename() == "must_fail") {
      at.disable_recursion_pending();
    } else if (at->path().extension() == ".dlg") {
      found.push_back(at->path().string());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string play_script(const Script& script, const std::string& lmtpq) {
  ScriptedCast cast(script);
  const bool binary = !lmtpq.empty();
  const Played played = binary ? play_binary(script, cast, lmtpq) : play_in_memory(script, cast);
  const std::string wrong = verdict(script, played, binary && script.command != "relay");
  return wrong.empty() ? wrong : script.file + ": " + wrong;
}

std::string play_trial(const Trial& trial, const std::string& lmtpq) {
  BadCast cast(trial);
  const Script script = trial.script();
  return cast.judge(lmtpq.empty() ? play_in_memory(script, cast)
                                  : play_binary(script, cast, lmtpq));
}

// Inverted: a case that passes although it must fail, or fails for another reason, has failed.
std::string must_fail(const std::string& reason, const std::string& pattern) {
  if (reason.empty()) {
    return "it was played without complaint";
  }
  return matches("*" + pattern + "*", reason) ? "" : "noticed for another reason: " + reason;
}

void add_both(std::vector<Case>& cases, const std::string& name, bool memory, bool binary,
              const std::string& lmtpq,
              const std::function<std::string(const std::string&)>& play) {
  if (memory) {
    cases.push_back({name + " (in memory)", [play] { return play(""); }});
  }
  if (binary) {
    cases.push_back({name + " (binary)", [play, lmtpq] { return play(lmtpq); }});
  }
}

std::vector<Case> cases_of(const Arguments& arguments) {
  std::vector<Case> cases;
  for (const std::string& path : arguments.scripts) {
    for (const std::string& file : scripts_below(path)) {
      const Script script = read_script(file);
      add_both(cases, script.name, script.in_memory, script.in_binary, arguments.lmtpq,
               [script](const std::string& lmtpq) { return play_script(script, lmtpq); });
    }
  }
  if (arguments.scripts.empty() || std::filesystem::is_directory(arguments.scripts[0])) {
    for (const Trial& trial : all_trials()) {
      add_both(cases, trial.name(), true, true, arguments.lmtpq,
               [trial](const std::string& lmtpq) { return play_trial(trial, lmtpq); });
    }
  }
  return cases;
}

std::vector<Case> self_test_cases(const std::string& lmtpq) {
  std::vector<Case> cases;
  for (const std::string& file : scripts_below(kMustFail)) {
    const Script script = read_script(file);
    add_both(cases, "noticed: " + script.name, script.in_memory, script.in_binary, lmtpq,
             [script](const std::string& program) {
               return must_fail(play_script(script, program), script.wrong);
             });
  }
  for (const Trial& lie : {Trial{Point::kFinal1, Fault::kLie, true, false},
                           Trial{Point::kFinal2, Fault::kLie, false, true}}) {
    add_both(cases, "noticed: " + lie.name(), true, true, lmtpq, [lie](const std::string& program) {
      return must_fail(play_trial(lie, program), "no store said so");
    });
  }
  return cases;
}

// Prints the results in the order of the cases, each as soon as all earlier ones are known.
class Report {
 public:
  explicit Report(const std::vector<Case>& cases) : cases_(cases), reasons_(cases.size()) {}

  void add(std::size_t index, std::string reason) {
    const std::lock_guard lock(mutex_);
    reasons_[index] = std::move(reason);
    for (; printed_ < cases_.size() && reasons_[printed_]; ++printed_) {
      const std::string& why = *reasons_[printed_];
      ++(why.empty() ? passed_ : failed_);
      std::cout << (why.empty() ? "ok " : "not ok ") << cases_[printed_].name
                << (why.empty() ? "" : ": " + why) << std::endl;
    }
  }

  int finish() const {
    std::cout << passed_ << " passed, " << failed_ << " failed" << std::endl;
    return failed_ == 0 && passed_ > 0 ? 0 : 1;
  }

 private:
  const std::vector<Case>& cases_;
  std::vector<std::optional<std::string>> reasons_;
  std::mutex mutex_;
  std::size_t printed_ = 0;
  int passed_ = 0;
  int failed_ = 0;
};

std::string guarded(const Case& one) {
  try {
    return one.play();
  } catch (const std::exception& error) {
    return std::string("cannot be played: ") + error.what();
  }
}

int run(std::vector<Case> cases, const std::string& only) {
  std::erase_if(cases, [&](const Case& c) { return c.name.find(only) == std::string::npos; });
  Report report(cases);
  std::atomic<std::size_t> next = 0;
  {
    std::vector<std::jthread> workers(4);
    for (std::jthread& worker : workers) {
      worker = std::jthread([&] {
        for (std::size_t i = next++; i < cases.size(); i = next++) {
          report.add(i, guarded(cases[i]));
        }
      });
    }
  }
  return report.finish();
}

Arguments read_arguments(const std::vector<std::string>& words) {
  Arguments read;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--self-test") {
      read.self_test = true;
    } else if (words[i] == "--only" && i + 1 < words.size()) {
      read.only = words[++i];
    } else if (read.lmtpq.empty()) {
      read.lmtpq = words[i];
    } else {
      read.scripts.push_back(words[i]);
    }
  }
  if (read.lmtpq.empty()) {
    throw ScriptError(
        "usage: dialogues LMTPQ SCRIPT_OR_FOLDER... [--only SUBSTRING] [--self-test]");
  }
  return read;
}

}  // namespace
}  // namespace dialogues

int main(int argc, char** argv) {
  using namespace dialogues;
  signal(SIGPIPE, SIG_IGN);  // as it is in a mailer that Sendmail starts
  try {
    const Arguments arguments = read_arguments({argv + 1, argv + argc});
    return run(arguments.self_test ? self_test_cases(arguments.lmtpq) : cases_of(arguments),
               arguments.only);
  } catch (const std::exception& error) {
    std::cout << "not ok " << error.what() << "\n0 passed, 1 failed" << std::endl;
    return 1;
  }
}

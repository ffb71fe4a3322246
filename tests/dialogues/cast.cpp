#include "tests/dialogues/cast.h"

#include <sstream>

#include "tests/dialogues/pattern.h"

namespace dialogues {

bool ScriptedCast::listens(std::size_t destination) const {
  // A connection too many is taken, so that it shows.
  return !script_.refuses[destination] ||
         accepted_[destination] < script_.stores[destination].size();
}

std::unique_ptr<Peer> ScriptedCast::accept(std::size_t destination, Stage& stage) {
  static const Steps kNothing;
  const auto& connections = script_.stores[destination];
  const std::size_t number = accepted_[destination]++;
  const std::string name = "store" + (destination == 0 ? "" : std::to_string(destination + 1)) +
                           " (connection " + std::to_string(number + 1) + ")";
  if (number >= connections.size()) {
    stage.fail(name + " is not in the script");
    return std::make_unique<ScriptedPeer>(name, stage, kNothing);
  }
  return std::make_unique<ScriptedPeer>(name, stage, connections[number]);
}

void ScriptedCast::finish(Stage& stage) const {
  for (std::size_t i = 0; i < accepted_.size(); ++i) {
    if (accepted_[i] < script_.stores[i].size()) {
      stage.fail("store " + std::to_string(i + 1) + ": lmtpq connected " +
                 std::to_string(accepted_[i]) + " times, not " +
                 std::to_string(script_.stores[i].size()));
    }
  }
}

namespace {

std::vector<std::string> lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> made;
  for (std::string line; std::getline(in, line);) {
    made.push_back(line);
  }
  return made;
}

int count(const std::vector<std::string>& texts, const std::string& pattern) {
  int times = 0;
  for (const std::string& line : texts) {
    times += matches("*" + pattern + "*", line) ? 1 : 0;
  }
  return times;
}

std::string check_log(const LogCheck& check, const std::vector<std::string>& log) {
  const int times = count(log, check.pattern);
  if (check.times ? times == *check.times : times > 0) {
    return {};
  }
  std::string all;
  for (const std::string& line : log) {
    all += " / " + line;
  }
  return "the log has " + std::to_string(times) + " lines \"" + check.pattern + "\"" + all;
}

std::string check_output(const std::vector<std::string>& patterns,
                         const std::vector<std::string>& output, const std::string& where) {
  for (std::size_t i = 0; i < std::max(patterns.size(), output.size()); ++i) {
    if (i >= output.size() || i >= patterns.size() || !matches(patterns[i], output[i])) {
      return where + ": expected " + (i < patterns.size() ? "\"" + patterns[i] + "\"" : "no more") +
             ", got " + (i < output.size() ? "\"" + shown(output[i]) + "\"" : "no more");
    }
  }
  return {};
}

}  // namespace

std::string verdict(const Script& script, const Played& played, bool has_output) {
  if (!played.failure.empty()) {
    return played.failure;
  }
  if (played.exit != script.exit) {
    return "exit status " + std::to_string(played.exit) + ", not " + std::to_string(script.exit);
  }
  const std::vector<std::string> log = lines(played.log);
  for (const LogCheck& check : script.log) {
    const std::string wrong = check_log(check, log);
    if (!wrong.empty()) {
      return wrong;
    }
  }
  if (!has_output) {
    return {};
  }
  const std::string wrong = check_output(script.out, lines(played.out), "output");
  return wrong.empty() ? check_output(script.err, lines(played.err), "standard error") : wrong;
}

}  // namespace dialogues

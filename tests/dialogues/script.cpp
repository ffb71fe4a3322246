#include "tests/dialogues/script.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "tests/dialogues/pattern.h"
#include "tests/dialogues/verbs.h"

namespace dialogues {
namespace {

std::string_view trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

std::vector<std::string> words(std::string_view text) {
  std::istringstream in{std::string(text)};
  std::vector<std::string> made;
  for (std::string word; in >> word;) {
    made.push_back(word == "''" ? "" : word);
  }
  return made;
}

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

// {998*x}
void spell_out_runs(std::string& text) {
  for (std::size_t at = 0; (at = text.find('{', at)) != std::string::npos; ++at) {
    const std::size_t star = text.find_first_not_of("0123456789", at + 1);
    if (star > at + 1 && star + 2 < text.size() && text[star] == '*' && text[star + 2] == '}') {
      text.replace(at, star + 3 - at, std::string(std::stoul(text.substr(at + 1)), text[star + 1]));
    }
  }
}

class Parser {
 public:
  explicit Parser(std::string file) { script_.file = std::move(file); }

  void line(std::string_view text) {
    ++number_;
    if (trim(text).empty()) {
      return;
    }
    if (text.front() == '#') {
      if (script_.name.empty()) {
        script_.name = trim(text.substr(1));
      }
      return;
    }
    try {
      statement(text);
    } catch (const std::exception& error) {
      throw ScriptError(script_.file + ":" + std::to_string(number_) + ": " + error.what());
    }
  }

  Script finish() {
    if (script_.name.empty() || (script_.client.empty() && script_.command == "relay")) {
      throw ScriptError(script_.file + ": no name or no dialogue");
    }
    return std::move(script_);
  }

 private:
  // `WORD[ Nx]` then `:`, `>>`, `>` or `<`
  void statement(std::string_view text) {
    const std::size_t end = text.find_first_of(":<>");
    if (end == std::string_view::npos) {
      throw ScriptError("expected PEER:, PEER> or PEER<");
    }
    const std::vector<std::string> head = words(text.substr(0, end));
    const char mark = text[end];
    const bool raw = text.substr(end).starts_with(">>");
    std::string_view rest = text.substr(end + (raw ? 2 : 1));
    rest.remove_prefix(rest.starts_with(' ') ? 1 : 0);
    if (head.empty() || head.size() > 2) {
      throw ScriptError("expected one word, or a word and a count");
    }
    const std::string count = head.size() == 2 ? head[1] : "";
    const std::string& name = head[0];
    if (mark == ':' && head[0] != "mta" && head[0] != "stdin" && !name.starts_with("store")) {
      setting(name, head.size() == 2 ? head[1] : "", trim(rest));
    } else if (mark == ':') {
      verb(name, trim(rest.substr(0, rest.find(" #"))));
    } else {
      said(name, mark, raw, count.empty() ? 1 : times(count), std::string(rest));
    }
  }

  static std::size_t times(const std::string& count) {
    if (!count.ends_with('x')) {
      throw ScriptError("expected a count such as 30x");
    }
    return std::stoul(count);
  }

  void setting(const std::string& key, const std::string& extra, std::string_view value) {
    const auto append = [&](std::vector<std::string>& list) {
      for (const std::string& word : words(value)) {
        list.push_back(unescape(word));
      }
    };
    if (key == "options") {
      append(script_.options);
    } else if (key == "command") {
      append(script_.arguments);
      script_.command = script_.arguments.at(0);
      script_.arguments.erase(script_.arguments.begin());
    } else if (key == "transport" && value == "inet") {
      script_.inet = true;
    } else if (key == "stderr" && value == "mta") {
      script_.joined_stderr = true;
    } else if (key == "player" && (value == "binary" || value == "memory")) {
      (value == "binary" ? script_.in_memory : script_.in_binary) = false;
    } else if (key == "file") {
      script_.files.emplace_back(extra, unescape(value));
    } else if (key == "exit") {
      script_.exit = std::stoi(std::string(value));
    } else if (key == "log") {
      script_.log.push_back(
          {std::string(value), extra.empty() ? std::nullopt : std::optional<int>(times(extra))});
    } else if (key == "log-not") {
      script_.log.push_back({std::string(value), 0});
    } else if (key == "out") {
      script_.out.emplace_back(value);
    } else if (key == "wrong") {
      script_.wrong = value;
    } else if (key == "err") {
      script_.err.emplace_back(value);
    } else {
      throw ScriptError("no such setting: " + key + ": " + std::string(value));
    }
  }

  // DESTs are named in order: store, store2, store3.
  std::size_t store(const std::string& name) {
    const std::string digits = name.substr(std::string_view("store").size());
    const std::size_t index = digits.empty() ? 0 : std::stoul(digits) - 1;
    if (index >= script_.stores.size()) {
      script_.stores.resize(index + 1);
      script_.refuses.resize(index + 1);
    }
    return index;
  }

  Steps& peer(const std::string& name) {
    if (name == "mta" || name == "stdin") {
      return script_.client;
    }
    if (!name.starts_with("store")) {
      throw ScriptError("no such peer: " + name);
    }
    auto& connections = script_.stores[store(name)];
    if (connections.empty() || script_.refuses[store(name)]) {
      throw ScriptError(name + " has not accepted a connection yet");
    }
    return connections.back();
  }

  void verb(const std::string& name, std::string_view text) {
    if (name.starts_with("store") && text == "accepts") {
      script_.stores[store(name)].emplace_back();
    } else if (name.starts_with("store") && text == "refuses") {
      script_.refuses[store(name)] = true;
    } else if (name.starts_with("store") && text == "is not called") {
      store(name);
    } else {
      const Side side = name.starts_with("store") ? Side::kStore : Side::kClient;
      std::string words(text);
      spell_out_runs(words);
      for (Step& step : steps_of_verb(side, words)) {
        add(peer(name), std::move(step));
      }
    }
  }

  void said(const std::string& name, char mark, bool raw, std::size_t count, std::string text) {
    Steps& steps = peer(name);
    spell_out_runs(text);
    for (std::size_t n = 1; n <= count; ++n) {
      std::string one = text;
      replace_all(one, "{n}", std::to_string(n));
      if (mark == '<') {
        matches(one, "");  // reports a wrong escape with its line
        add(steps, {Step::Kind::kExpect, one});
      } else {
        add(steps, {Step::Kind::kSend, unescape(one) + (raw ? "" : "\r\n")});
      }
    }
  }

  // A repeated send becomes one.
  void add(Steps& steps, Step step) {
    step.line = number_;
    if (!steps.empty() && steps.back().line == number_ && step.kind == Step::Kind::kSend &&
        steps.back().kind == Step::Kind::kSend) {
      steps.back().text += step.text;
    } else {
      steps.push_back(std::move(step));
    }
  }

  Script script_;
  int number_ = 0;
};

}  // namespace

Script parse_script(std::string_view text, const std::string& file) {
  Parser parser(file);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    parser.line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parser.finish();
}

Script read_script(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) {
    throw ScriptError(path + ": cannot be read");
  }
  return parse_script(text.str(), path);
}

}  // namespace dialogues

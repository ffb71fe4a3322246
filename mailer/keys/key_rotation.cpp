#include "mailer/keys/key_rotation.h"

#include <algorithm>
#include <map>
#include <optional>

#include "common/config_error.h"
#include "common/options/lines.h"
#include "common/tag/key_file.h"
#include "common/tag/keyring.h"

namespace lmtpq::mailer {
namespace {

constexpr time_t kDay = 24 * 60 * 60;
constexpr std::string_view kBlank = " \t\r";
constexpr const char* kTime = "%Y-%m-%dT%H:%M:%SZ";
constexpr std::string_view kMark = "# key ";
constexpr std::string_view kNext = ": next to sign, not before ";
constexpr std::string_view kFormer = ": verifies only, until ";

struct Mark {
  std::string id;
  bool next = false;  // false: a former signer
  time_t time = 0;
};

struct Line {
  std::string_view text;
  std::string id;  // of its key; empty: a comment
  std::optional<Mark> mark;
};

std::string text_of(time_t time) {
  char text[32];
  tm parts{};
  gmtime_r(&time, &parts);
  return {text, strftime(text, sizeof text, kTime, &parts)};
}

std::optional<time_t> time_of(const std::string& text) {
  tm parts{};
  const char* const end = strptime(text.c_str(), kTime, &parts);
  return end != nullptr && *end == '\0' ? std::optional(timegm(&parts)) : std::nullopt;
}

// Anything but our own form is somebody's comment.
std::optional<Mark> mark_of(std::string_view line) {
  if (!line.starts_with(kMark)) {
    return std::nullopt;
  }
  line.remove_prefix(kMark.size());
  line = line.substr(0, line.find_last_not_of(kBlank) + 1);
  for (const std::string_view kind : {kNext, kFormer}) {
    const std::size_t at = line.find(kind);
    if (at == std::string_view::npos) {
      continue;
    }
    if (const auto time = time_of(std::string(line.substr(at + kind.size())))) {
      return Mark{std::string(line.substr(0, at)), kind == kNext, *time};
    }
  }
  return std::nullopt;
}

std::string line_of(const Mark& mark) {
  return std::string(kMark) + mark.id + std::string(mark.next ? kNext : kFormer) +
         text_of(mark.time) + '\n';
}

std::vector<Line> lines_of(std::string_view text, const std::string& name) {
  std::vector<Line> lines;
  each_line(text, name, [&](std::string_view line, const std::string&) {
    const std::size_t begin = line.find_first_not_of(kBlank);
    const bool key = begin != std::string_view::npos && line[begin] != '#';
    lines.push_back(
        {line,
         key ? std::string(line.substr(begin, line.find_first_of(kBlank, begin) - begin)) : "",
         mark_of(line)});
  });
  return lines;
}

// What each key of the file does after the change.
class Roles {
 public:
  Roles(const std::vector<Line>& lines, time_t now, std::chrono::seconds lifetime)
      : now_(now), until_(now + lifetime.count() + kDay) {
    std::map<std::string, Mark> marks;
    for (const Line& line : lines) {
      if (line.mark) {
        marks[line.mark->id] = *line.mark;
      }
    }
    for (const Line& line : lines) {
      if (!line.id.empty()) {
        add(line.id, marks);
      }
    }
    if (next_.empty()) {
      former_.erase(signer_);
    }
  }

  const std::string& signer() const { return next_.empty() ? signer_ : next_; }
  bool changes_signer() const { return !next_.empty(); }
  time_t not_before() const { return due_ > now_ ? due_ : 0; }
  bool removes(const std::string& id) const {
    const auto found = former_.find(id);
    return found != former_.end() && found->second.time < now_;
  }
  // That stay in the file.
  std::size_t keys() const {
    return 1 + static_cast<std::size_t>(
                   std::count_if(former_.begin(), former_.end(),
                                 [&](const auto& one) { return !removes(one.first); }));
  }
  // nullptr: it signs.
  const Mark* mark(const std::string& id) const {
    const auto found = former_.find(id);
    return found == former_.end() ? nullptr : &found->second;
  }

 private:
  void add(const std::string& id, const std::map<std::string, Mark>& marks) {
    const auto found = marks.find(id);
    const Mark* const mark = found == marks.end() ? nullptr : &found->second;
    if (signer_.empty()) {
      signer_ = id;  // whatever its comment says: an admin may have moved it
    } else if (mark != nullptr && mark->next && next_.empty()) {
      next_ = id;
      due_ = mark->time;
      return;
    }
    const bool known = mark != nullptr && !mark->next && id != signer_;
    former_[id] = {id, false, known ? mark->time : until_};
  }

  time_t now_;
  time_t until_;
  time_t due_ = 0;
  std::string signer_, next_;
  std::map<std::string, Mark> former_;
};

Key unlike(const std::vector<Line>& lines) {
  for (;;) {
    Key key = Key::generate();
    if (std::none_of(lines.begin(), lines.end(),
                     [&](const Line& line) { return line.id == key.id(); })) {
      return key;
    }
  }
}

// Appends without leaving a copy of the secret.
void append_key(std::string& text, const Key& key) {
  std::string line = key.line();
  text += line;
  wipe(line);
}

void append_line(std::string& text, std::string_view line) {
  text += line;
  text += '\n';
}

// The key that signs, and the one that comes next, in front of the first key.
void append_first(std::string& text, const std::vector<Line>& lines, const Roles& roles,
                  const Key& fresh, const Mark& mark) {
  for (const Line& line : lines) {
    if (line.id == roles.signer()) {
      append_line(text, line.text);
    }
  }
  text += line_of(mark);
  append_key(text, fresh);
}

std::string changed_text(const std::vector<Line>& lines, const Roles& roles, std::size_t size,
                         const Key& fresh, const Mark& mark) {
  std::string text;
  text.reserve(size + Keyring::kMaxKeys * 256);  // to grow would leave copies of the secrets
  bool first = true;
  for (const Line& line : lines) {
    if (line.mark) {
      continue;
    }
    if (line.id.empty()) {
      append_line(text, line.text);
      continue;
    }
    if (std::exchange(first, false)) {
      append_first(text, lines, roles, fresh, mark);
    }
    if (line.id == roles.signer() || roles.removes(line.id)) {
      continue;
    }
    text += line_of(*roles.mark(line.id));
    append_line(text, line.text);
  }
  return text;
}

}  // namespace

Secret first_keys(time_t now) {
  const Key signer = Key::generate();
  const Key next = unlike({Line{{}, signer.id(), {}}});
  std::string text;
  text.reserve(1024);
  text =
      "# The keys of the tags: the first one signs, all of them verify. See lmtpq(8), TAGS.\n"
      "# lmtpq keygen --rotate changes them, and writes the lines that begin with \"# key\".\n";
  append_key(text, signer);
  text += line_of({next.id(), true, now});
  append_key(text, next);
  Secret made(text);
  wipe(text);
  return made;
}

KeyChange change_keys(std::string_view text, const std::string& name, time_t now,
                      std::chrono::seconds lifetime) {
  if (parse_keys(text, name).empty()) {
    throw ConfigError(name + ": contains no key; append one: lmtpq keygen >> " + name);
  }
  const std::vector<Line> lines = lines_of(text, name);
  const Roles roles(lines, now, lifetime);
  KeyChange change;
  change.not_before = roles.not_before();
  if (change.not_before != 0) {
    change.keys.emplace_back(roles.signer(),
                             "next to sign, not before " + text_of(roles.not_before()));
    return change;
  }
  if (roles.keys() == Keyring::kMaxKeys) {
    throw ConfigError(name + ": has as many keys as it may have, " + std::to_string(roles.keys()) +
                      "; remove former ones");
  }
  const Key fresh = unlike(lines);
  const Mark mark{fresh.id(), true, now + kDay};
  change.keys.emplace_back(roles.signer(),
                           roles.changes_signer() ? "signs from now on" : "signs as before");
  change.keys.emplace_back(fresh.id(), "new, next to sign, not before " + text_of(mark.time));
  for (const Line& line : lines) {
    if (!line.id.empty() && line.id != roles.signer()) {
      change.keys.emplace_back(
          line.id, roles.removes(line.id) ? "removed"
                                          : "verifies until " + text_of(roles.mark(line.id)->time));
    }
  }
  std::string made = changed_text(lines, roles, text.size(), fresh, mark);
  change.text = Secret(made);
  wipe(made);
  if (change.text.text().size() > kMaxSecretFile) {
    throw ConfigError(name + ": with a new key it would be larger than 64 KiB");
  }
  return change;
}

}  // namespace lmtpq::mailer

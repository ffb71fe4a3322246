#include "mailer/check/sendmail_cf.h"

#include <algorithm>
#include <optional>

#include "common/ascii.h"
#include "common/options/option_table.h"

namespace lmtpq::mailer {
namespace {

// The first letters that readcf() in Sendmail 8.12 to 8.18 knows.
constexpr std::string_view kKinds = "RSDHCFOPMTVKELQX";

// What follows $# and is no mailer, or one that proto.m4 names whether or not it is defined.
constexpr std::string_view kNoMailers[] = {"error", "discard", "temp",   "perm",
                                           "ok",    "relay",   "unknown"};

// In a list of milters or macros.
constexpr std::string_view kBetweenWords = ",; \t";

// The right side of a rule: after the first tabs, up to the next.
std::string_view right_side(std::string_view rule) {
  const std::size_t tab = std::min(rule.find('\t'), rule.size());
  const std::string_view rest = trimmed(rule.substr(tab));
  return rest.substr(0, rest.find('\t'));
}

std::optional<CfTarget> target_of(const CfLine& line) {
  const std::string_view right = right_side(line.text);
  if (!right.starts_with("$#") || right.find("$:") == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view name = trimmed(right.substr(2));
  const std::string mailer(name.substr(0, name.find_first_of(" \t$")));
  const bool known = std::any_of(std::begin(kNoMailers), std::end(kNoMailers),
                                 [&](std::string_view other) { return same_word(mailer, other); });
  if (mailer.empty() || known) {
    return std::nullopt;
  }
  const std::string_view left = std::string_view(line.text).substr(1, line.text.find('\t') - 1);
  const bool local = trimmed(left) == "$+" && right.find("$@") == std::string_view::npos;
  return CfTarget{line.number, mailer, local};
}

std::optional<CfOption> option_of(const CfLine& line) {
  const std::string_view text = line.text;
  const std::size_t sign = text.find('=');
  if (!text.starts_with("O ") || sign == std::string_view::npos) {
    return std::nullopt;
  }
  return CfOption{line.number, std::string(trimmed(text.substr(2, sign - 2))),
                  std::string(trimmed(text.substr(sign + 1)))};
}

void take(const CfLine& line, SendmailCf& made) {
  switch (line.text.front()) {
    case 'M':
      made.mailers.push_back(parse_entry(line));
      break;
    case 'X':
      made.filters.push_back(parse_entry(line));
      break;
    case 'O':
      if (auto option = option_of(line)) {
        made.options.push_back(std::move(*option));
      }
      break;
    case 'R':
      if (auto target = target_of(line)) {
        made.targets.push_back(std::move(*target));
      }
      break;
    case 'K':
      made.has_mailertable =
          made.has_mailertable ||
          trimmed(std::string_view(line.text).substr(1)).starts_with("mailertable");
      break;
    default:
      if (kKinds.find(line.text.front()) == std::string_view::npos) {
        made.refused.push_back(line);
      }
  }
}

}  // namespace

SendmailCf SendmailCf::parse(std::string_view text) {
  SendmailCf made;
  for (const CfLine& line : cf_lines(text)) {
    take(line, made);
  }
  return made;
}

const CfEntry* SendmailCf::mailer(std::string_view name) const {
  const auto found = std::find_if(mailers.begin(), mailers.end(),
                                  [&](const CfEntry& m) { return same_word(m.name, name); });
  return found == mailers.end() ? nullptr : &*found;
}

const CfOption* SendmailCf::option(std::string_view name) const {
  const auto found = std::find_if(options.rbegin(), options.rend(),
                                  [&](const CfOption& o) { return same_word(o.name, name); });
  return found == options.rend() ? nullptr : &*found;
}

const CfTarget* SendmailCf::local_target() const {
  const auto found =
      std::find_if(targets.begin(), targets.end(), [](const CfTarget& t) { return t.is_local; });
  return found == targets.end() ? nullptr : &*found;
}

bool has_word(std::string_view list, std::string_view word) {
  const std::vector<std::string> words = list_of(list, kBetweenWords);
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& one) { return same_word(one, word); });
}

}  // namespace lmtpq::mailer

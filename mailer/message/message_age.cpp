#include "mailer/message/message_age.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "common/ascii.h"
#include "mailer/message/received_field.h"

namespace lmtpq::mailer {
namespace {

// A number of `least` to `most` digits and nothing else.
std::optional<int> number(std::string_view text, std::size_t least, std::size_t most) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool good = text.size() >= least && text.size() <= most && error == std::errc() &&
                    end == text.data() + text.size() && text[0] != '-';
  return good ? std::optional(value) : std::nullopt;
}

std::optional<unsigned> month(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  for (unsigned i = 0; i < kMonths.size(); ++i) {
    if (same_word(text, kMonths[i])) {
      return i + 1;
    }
  }
  return std::nullopt;
}

// Seconds since midnight.
std::optional<int> time_of_day(std::string_view text) {
  const auto part = [&](std::size_t at) { return number(text.substr(at, 2), 2, 2); };
  const bool with_seconds = text.size() == 8 && text[5] == ':';
  if ((text.size() != 5 && !with_seconds) || text[2] != ':') {
    return std::nullopt;
  }
  const auto hour = part(0);
  const auto minute = part(3);
  const auto second = with_seconds ? part(6) : std::optional(0);
  const bool good = hour && minute && second && *hour < 24 && *minute < 60 && *second <= 60;
  return good ? std::optional(*hour * 3600 + *minute * 60 + *second) : std::nullopt;
}

// Seconds east of Greenwich.
std::optional<int> zone(std::string_view text) {
  if (text.size() == 5 && (text[0] == '+' || text[0] == '-')) {
    const auto hours = number(text.substr(1, 2), 2, 2);
    const auto minutes = number(text.substr(3, 2), 2, 2);
    if (!hours || !minutes || *minutes >= 60) {
      return std::nullopt;
    }
    const int seconds = *hours * 3600 + *minutes * 60;
    return text[0] == '+' ? seconds : -seconds;
  }
  constexpr std::pair<std::string_view, int> kZones[] = {
      {"UT", 0},   {"UTC", 0},  {"GMT", 0},  {"Z", 0},    {"EST", -5}, {"EDT", -4},
      {"CST", -6}, {"CDT", -5}, {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
  for (const auto& [name, hours] : kZones) {
    if (same_word(text, name)) {
      return hours * 3600;
    }
  }
  return std::nullopt;
}

// A date-time of RFC 5322 section 3.3, from its words; the day of the week and the seconds may be
// missing.
class Date {
 public:
  void take(std::string_view word) {
    // Ends the day of the week, which adds nothing.
    if (const std::size_t comma = word.find(','); comma != std::string_view::npos && !weekday_) {
      weekday_ = true;
      count_ = 0;
      word.remove_prefix(comma + 1);
    }
    if (word.empty()) {
      return;
    }
    if (count_ < words_.size()) {
      words_[count_] = word;
    }
    ++count_;
  }

  // As Unix time. nullopt: it is none.
  std::optional<std::int64_t> time() const {
    if (count_ != words_.size()) {
      return std::nullopt;
    }
    const auto day = number(words_[0], 1, 2);
    const auto of_month = month(words_[1]);
    const auto year = number(words_[2], 4, 4);
    const auto time = time_of_day(words_[3]);
    const auto east = zone(words_[4]);
    if (!day || !of_month || !year || !time || !east) {
      return std::nullopt;
    }
    const std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(*of_month),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok()) {
      return std::nullopt;
    }
    const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
    return days * 86'400 + *time - *east;
  }

 private:
  std::array<std::string, 5> words_;  // 21 Nov 2026 12:00:00 +0000
  std::size_t count_ = 0;
  bool weekday_ = false;
};

std::optional<std::int64_t> received_date(std::string_view head) {
  std::optional<Date> date;
  const bool whole = read_received(head, [&date](std::string_view word, WordPlace place) {
    if (place == WordPlace::kEnclosed) {
      return;
    }
    if (word == ";") {
      date.emplace();
    } else if (date) {
      date->take(word);
    }
  });
  return whole && date ? date->time() : std::nullopt;
}

}  // namespace

std::chrono::seconds message_age(std::string_view message_head, std::int64_t now) {
  constexpr std::int64_t kYear2000 = 946'684'800;
  const std::int64_t date = received_date(message_head).value_or(now);
  return std::chrono::seconds(date < kYear2000 ? 0 : std::max<std::int64_t>(0, now - date));
}

}  // namespace lmtpq::mailer

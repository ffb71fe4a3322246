// The table of --status.

#include <algorithm>
#include <cstdio>

#include "common/escape.h"
#include "mailer/serve/status/status_client.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kWidth = 80;
constexpr std::size_t kNameWidth = 48;

// Another program than lmtpq may have answered, and a terminal obeys control characters.
std::string without_controls(std::string_view text) {
  std::string made;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view piece = text.substr(0, std::max<std::size_t>(length, 1));
    made += length == 0 || controls_display(piece) ? "?" : piece;
    text.remove_prefix(piece.size());
  }
  return made;
}

std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// The index of the character in this column.
std::size_t index_of_column(std::string_view text, std::size_t column) {
  std::size_t at = 0;
  while (at < text.size() && column-- > 0) {
    at += std::max<std::size_t>(utf8_length(text.substr(at)), 1);
  }
  return std::min(at, text.size());
}

std::string cut(const std::string& text, std::size_t width) {
  return columns(text) <= width ? text : text.substr(0, index_of_column(text, width - 3)) + "...";
}

// Names differ at their ends as often as at their beginnings.
std::string cut_in_the_middle(const std::string& text, std::size_t width) {
  const std::size_t all = columns(text);
  if (all <= width) {
    return text;
  }
  const std::size_t head = (width - 3) / 2;
  return text.substr(0, index_of_column(text, head)) + "..." +
         text.substr(index_of_column(text, all - (width - 3 - head)));
}

std::string padded(std::string text, std::size_t width) {
  text.append(width - std::min(width, columns(text)), ' ');
  return text;
}

std::string span(std::uint64_t seconds) {
  char text[48];
  const unsigned long long days = seconds / 86'400;
  std::snprintf(text, sizeof text, "%02llu:%02llu:%02llu", seconds / 3600 % 24ULL,
                seconds / 60 % 60ULL, seconds % 60ULL);
  return (days > 0 ? std::to_string(days) + "d " : "") + text;
}

std::string bytes(std::uint64_t number) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double left = static_cast<double>(number);
  std::size_t unit = 0;
  while (left >= 1024) {
    left /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", left, kUnits[unit]);
  return text;
}

std::string answer_time(double seconds) {
  char text[32];
  if (seconds < 0) {
    return "-";
  }
  std::snprintf(text, sizeof text, seconds < 1 ? "%.0f ms" : "%.1f s",
                seconds < 1 ? seconds * 1000 : seconds);
  return text;
}

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string state(const StoreStatus& store) {
  if (store.up) {
    return store.security.empty() ? "up" : "up  " + without_controls(store.security);
  }
  return store.retry_in > 0
             ? "down, retry in " + number(static_cast<std::uint64_t>(store.retry_in + 0.999)) + " s"
             : "down, being tried";
}

std::string figures(const std::string (&words)[10]) {
  constexpr std::size_t kWidths[] = {8, 6, 6, 6, 6, 11, 10, 9, 8, 9};
  std::string line;
  for (std::size_t i = 0; i < std::size(words); ++i) {
    const std::size_t width = kWidths[i];
    line += std::string(width - std::min(width - 1, words[i].size()), ' ') + words[i];
  }
  return line + "\n";
}

std::string rows(const StoreStatus& store, std::size_t name_width) {
  char rate[32];
  std::snprintf(rate, sizeof rate, "%.1f", store.per_second);
  const std::string name = cut_in_the_middle(without_controls(store.destination), kNameWidth);
  std::string made = cut(padded(name, name_width) + "  " + state(store), kWidth) + "\n";
  if (!store.up) {
    made += cut("    " + without_controls(store.failure), kWidth) + "\n";
  }
  return made +
         figures({number(store.leased), number(store.idle), number(store.dialling),
                  number(store.limit), number(store.waiting), number(store.sent),
                  number(store.deferred), number(store.refused), rate, answer_time(store.answer)});
}

std::string head(const Snapshot& now) {
  std::uint64_t duplicates = 0;
  for (const StoreStatus& store : now.stores) {
    duplicates += store.possible_duplicates;
  }
  const std::string failed =
      now.failed_reloads > 0 ? " (" + number(now.failed_reloads) + " failed)" : "";
  std::string made = "lmtpq " + without_controls(now.version) + "   pid " + number(now.pid) +
                     "   up " + span(now.uptime) + "   reloads " + number(now.reloads) + failed +
                     "\n";
  made += "messages " + number(now.messages) + " (" + bytes(now.bytes) + ", " +
          number(now.spooled) + " spooled)   waiting for a mailbox " + number(now.mailbox_waiters) +
          "\n";
  made += "possible duplicates " + number(duplicates) + "   replies lost " +
          number(now.replies_lost) + "   log lines dropped " + number(now.log_lines_dropped) + "\n";
  return made;
}

std::string listener_rows(const Snapshot& now) {
  std::string made = padded("LISTENER", kWidth - 10) + "   CLIENTS\n";
  for (const ListenerStatus& listener : now.listeners) {
    const std::string name = (listener.name.empty() ? "" : without_controls(listener.name) + "  ") +
                             without_controls(listener.address);
    const std::string clients = number(listener.clients);
    made += padded(cut_in_the_middle(name, kWidth - 12), kWidth - clients.size()) + clients + "\n";
  }
  const std::string all = number(now.clients) + " of " + number(now.most_clients);
  return made + padded("all", kWidth - all.size()) + all + "\n";
}

}  // namespace

std::string status_table(const Snapshot& snapshot) {
  std::size_t width = std::size("STORE") - 1;
  for (const StoreStatus& store : snapshot.stores) {
    width = std::max(width, std::min(kNameWidth, columns(without_controls(store.destination))));
  }
  std::string made = head(snapshot) + "\n" + listener_rows(snapshot) + "\n";
  made += padded("STORE", width) + "  STATE\n";
  made += figures(
      {"leased", "idle", "dial", "limit", "wait", "sent", "deferred", "refused", "/s", "answer"});
  for (const StoreStatus& store : snapshot.stores) {
    made += rows(store, width);
  }
  return made;
}

}  // namespace lmtpq::mailer

#include "common/log/log.h"

#include <array>
#include <chrono>

#include "common/config_error.h"
#include "common/escape.h"
#include "common/log/log_writer.h"

namespace lmtpq {
namespace {

constexpr const char* kLevelNames[] = {"error", "warning", "info", "debug"};

constexpr std::size_t kUsualLength = 512;

// What a byte requires of the value that contains it.
enum Needs : unsigned char { kNothing = 0, kQuotes = 1, kEscapes = 2 };

constexpr std::array<Needs, 256> kNeeds = [] {
  std::array<Needs, 256> made{};
  for (std::size_t byte = 0; byte < made.size(); ++byte) {
    const bool plain = byte > ' ' && byte <= '~' && byte != '"' && byte != '\\';
    made[byte] = byte == ' ' || byte == '=' ? kQuotes : plain ? kNothing : kEscapes;
  }
  return made;
}();

// What all bytes of a value require together.
unsigned needs_of(std::string_view value) {
  unsigned all = kNothing;
  for (const char c : value) {
    all |= kNeeds[static_cast<unsigned char>(c)];
  }
  return all;
}

}  // namespace

LogLevel parse_log_level(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kLevelNames); ++i) {
    if (text == kLevelNames[i]) {
      return static_cast<LogLevel>(i);
    }
  }
  throw ConfigError("expected error, warning, info or debug");
}

Record::Record(std::string_view event) {
  text_.reserve(kUsualLength);
  add("event", event);
  event_end_ = text_.size();
}

std::string_view Record::event() const {
  constexpr std::size_t kBegin = std::string_view("event=").size();
  return std::string_view(text_).substr(kBegin, event_end_ - kBegin);
}

Record& Record::add(std::string_view key, std::string_view value) {
  if (!text_.empty()) {
    text_ += ' ';
  }
  text_ += key;
  text_ += '=';
  const unsigned needs = needs_of(value);
  if (needs == kNothing && !value.empty() && value.size() <= kMaxValue) {
    text_ += value;
  } else if (needs <= kQuotes && value.size() <= kMaxValue) {
    text_ += '"';
    text_ += value;
    text_ += '"';
  } else {
    add_escaped(value);
  }
  return *this;
}

void Record::add_escaped(std::string_view value) {
  bool quoted = false;
  std::string shown;
  while (!value.empty()) {
    const std::string piece = take_escaped(value);
    if (shown.size() + piece.size() > kMaxValue) {
      shown += "...";
      break;
    }
    if (piece[0] == '\\' || piece == " " || piece == "=") {
      quoted = true;
    }
    shown += piece;
  }
  const std::string_view quote = quoted ? "\"" : "";
  text_ += quote;
  text_ += shown;
  text_ += quote;
}

Record& Record::add(std::string_view key, long long number) {
  return add(key, std::to_string(number));
}

Log::Log(std::string_view program, const std::string& where, LogLevel threshold,
         const std::string& syslog_socket)
    : threshold_(threshold),
      writer_(std::make_shared<LogWriter>(LogTarget(program, where, syslog_socket))) {}

Log::~Log() { writer_->close(); }

void Log::reopen() const { writer_->reopen(); }

void Log::flush() const { writer_->flush(); }

std::uint64_t Log::dropped() const { return writer_->dropped(); }

void Log::write(LogLevel level, const Record& record) const {
  if (wants(level)) {
    writer_->write({std::chrono::system_clock::now(), level, record.text()});
  }
}

void Log::write(LogLevel level, const Record& record, Outsider by) const {
  if (wants(level)) {
    writer_->write({std::chrono::system_clock::now(), level, record.text()}, record.event(),
                   by.name);
  }
}

}  // namespace lmtpq

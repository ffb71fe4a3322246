// The log: one line for each event, in the form of Cyrus's.
//
//   2026-01-02T03:04:05.678901Z store[123]: Delivered: sessionid=<..> r.tid=<..> userid=<alice>
//
// An Event is a name and key=<value> pairs, and belongs to one thread. A Log writes events to a
// file, a line with one write(2), and serves all threads. Opening throws std::system_error; a line
// that cannot be written is lost.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace store {

class Event {
 public:
  explicit Event(std::string_view name) : text_(std::string(name) + ":") {}
  // Bytes that would end the word or the brackets are shown as \xNN.
  Event& add(std::string_view key, std::string_view value);
  Event& add(std::string_view key, std::uint64_t number);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class Log {
 public:
  explicit Log(const std::string& file);  // empty: stderr
  void write(const Event& event) const;

 private:
  int descriptor_;
};

}  // namespace store

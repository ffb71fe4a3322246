// The id that follows one delivery through every component's log.
//
// What it is: a value that is either empty or valid for the TRACE command: 1 to 255 bytes of
//   A-Za-z0-9 and - _ . (Cyrus, docsrc/reference/extensions/lmtp.md).
// What it does not know: where the id came from, and whether a store understands TRACE.
// Called by: whoever reads an id from outside (argv, a header, the tag); the milter makes them.
// Threads and lifetimes: an immutable value.
// Failure: parse() returns nothing for text that a server would refuse with 501. make() always has
//   an id.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpq {

class TraceId {
 public:
  static constexpr std::size_t kMaxLength = 255;

  TraceId() = default;
  static std::optional<TraceId> parse(std::string_view text);
  // `<queue id>.<random>`: a queue id comes again after some years, or on another host. Without a
  // usable queue id only the random part.
  static TraceId make(std::string_view queue_id);

  bool empty() const { return text_.empty(); }
  const std::string& text() const { return text_; }
  bool operator==(const TraceId&) const = default;

 private:
  std::string text_;
};

}  // namespace lmtpq

// The id of a delivery in the logs of all components: empty, or valid for the TRACE command.
//
// 1 to 255 bytes of A-Z a-z 0-9 - _ . (Cyrus, docsrc/reference/extensions/lmtp.md). Cyrus 3.13.1 to
// 3.13.4 refuse a dot (lib/sessionid.h, TRACE_ID_GOODCHARS): ids of others may have one, ours have
// none. Immutable.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lmtpq {

class TraceId {
 public:
  static constexpr std::size_t kMaxLength = 255;

  TraceId() = default;
  static std::optional<TraceId> parse(std::string_view text);  // nothing: not a valid id
  // `<queue id>-<random>`: a queue id alone is used again after some years, and on other hosts.
  // Without a usable queue id only the random part. No dot is in it.
  static TraceId make(std::string_view queue_id);

  bool empty() const { return text_.empty(); }
  const std::string& text() const { return text_; }
  bool operator==(const TraceId&) const = default;

 private:
  std::string text_;
};

}  // namespace lmtpq

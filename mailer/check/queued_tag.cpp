#include "mailer/check/queued_tag.h"

#include "common/ascii.h"
#include "common/tag/tag_format.h"

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kKept = 256;  // more than the flags of a field and the name of the tag

// "Name: value" of a line H?flags?Name: value; empty: another kind of line.
std::string_view field_of(std::string_view line) {
  if (!line.starts_with('H')) {
    return {};
  }
  line.remove_prefix(1);
  if (line.starts_with('?')) {
    const std::size_t end = line.find('?', 1);
    return end == std::string_view::npos ? std::string_view() : line.substr(end + 1);
  }
  return line;
}

}  // namespace

void QueuedTag::feed(std::string_view bytes) {
  for (std::size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
    keep(bytes.substr(0, end));
    end_line();
    bytes.remove_prefix(end + 1);
  }
  keep(bytes);
}

void QueuedTag::keep(std::string_view piece) { line_ += piece.substr(0, kKept - line_.size()); }

void QueuedTag::end_line() {
  const std::string_view field = field_of(line_);
  const std::string_view name = trimmed(field.substr(0, field.find(':')));
  found_ = found_ || (field.find(':') != std::string_view::npos && same_word(name, kTagName));
  line_.clear();
}

}  // namespace lmtpq::mailer

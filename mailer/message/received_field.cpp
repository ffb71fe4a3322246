#include "mailer/message/received_field.h"

#include <string>

#include "common/ascii.h"
#include "common/header.h"

namespace lmtpq::mailer {
namespace {

constexpr std::string_view kBlank = " \t\r\n";
// Sendmail cuts a line of a field after 2 kB (headers.c), and we may break one of over 998 bytes.
// With a long protocol name (sendmail -oMr) that would remove or split Sendmail's own `id`.
constexpr std::size_t kMaxField = 998;

bool is_blank(char c) { return kBlank.find(c) != std::string_view::npos; }

// In a comment or quoted string.
bool separates(char c) {
  constexpr std::string_view kEnds = "()\"<>;,";
  return is_blank(c) || kEnds.find(c) != kEnds.npos;
}

using Take = std::function<void(std::string_view, WordPlace)>;

// The words of a field's value. A backslash takes the meaning from the next character in comments,
// in strings and outside alike. A comment or string that a client opens before Sendmail's part of
// the field can be closed by the recipient's address: `sendmail 'x) <bob>'` delivers to bob.
class Words {
 public:
  explicit Words(const Take& take) : take_(take) {}

  // False: a comment or quoted string is not closed, or a comment is closed that is not open.
  bool read(std::string_view value) {
    for (std::size_t i = 0; i < value.size(); ++i) {
      const bool escaped = value[i] == '\\' && i + 1 < value.size() && !is_blank(value[i + 1]);
      if (escaped) {
        put(value[++i]);
      } else if (!next(value[i])) {
        return false;
      }
    }
    end_word();
    end_enclosed();
    return depth_ == 0 && !quoted_;
  }

 private:
  bool next(char c) {
    if (separates(c)) {
      end_enclosed();
    }
    if (c == '"' && depth_ == 0) {
      quoted_ = !quoted_;
      put(c);
    } else if (c == '(' && !quoted_) {
      end_word();
      ++depth_;
    } else if (c == ')' && !quoted_) {
      return depth_-- > 0;
    } else if (is_blank(c) && !quoted_) {
      end_word();
    } else if (c == ';' && !quoted_) {
      end_word();
      put(c);
      end_word();
    } else {
      put(c);
    }
    return true;
  }
  void put(char c) {
    if (depth_ == 0) {
      word_ += c;
    }
    if ((depth_ > 0 || quoted_) && !separates(c)) {
      enclosed_ += c;
    }
  }
  void end_word() { end(word_, WordPlace::kPlain); }
  void end_enclosed() { end(enclosed_, WordPlace::kEnclosed); }
  void end(std::string& word, WordPlace place) const {
    if (!word.empty()) {
      take_(word, place);
      word.clear();
    }
  }

  const Take& take_;
  std::string word_;
  std::string enclosed_;
  std::size_t depth_ = 0;  // of nested comments
  bool quoted_ = false;
};

}  // namespace

bool read_received(std::string_view message_head, const Take& take) {
  HeaderReader fields(message_head);
  std::optional<Field> field = fields.next();
  while (field && !same_word(field->name, "Received")) {
    field = fields.next();
  }
  return field && field->raw.size() <= kMaxField && Words(take).read(field->value);
}

}  // namespace lmtpq::mailer

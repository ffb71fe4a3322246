#include "intake.h"

#include <string_view>
#include <utility>

#include "parameters.h"

namespace store {
namespace {

constexpr int kEnd = Connection::kEnd;

bool is_blank(int c) { return c == ' ' || c == '\t'; }
bool is_newline(int c) { return c == '\r' || c == '\n'; }

// ftext = %d33-57 / %d59-126
bool is_name_byte(int c) { return c >= 33 && c <= 126 && c != ':'; }

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && begins_with(a, b);
}

class HeaderReader {
 public:
  HeaderReader(Connection& client, Spool& spool, Intake& intake)
      : client_(client), spool_(spool), intake_(intake) {}

  void read_all() {
    while (at_field() && read_field()) {
    }
  }

 private:
  int peek() {
    const int c = client_.get();
    if (c != kEnd) client_.step_back();
    return c;
  }

  // False at the blank line, at the final dot, and at the end of input: all left unread.
  bool at_field() {
    const int c = client_.get();
    if (c == kEnd) return false;
    const bool final_dot = c == '.' && is_newline(peek());
    client_.step_back();
    return !final_dot && !is_newline(c);
  }

  bool read_field() {
    std::string raw;
    std::string value;
    if (!read_name(raw)) return false;
    const std::string name = raw.substr(0, raw.find_first_of(" \t:"));
    if (!read_value(raw, value)) return false;
    if (!same_word(name, "Return-Path")) spool_.append(raw);
    if (same_word(name, "Message-ID") && !intake_.has_message_id) {
      intake_.has_message_id = true;
      intake_.message_id = std::move(value);
    } else if (same_word(name, "Date") && intake_.date.empty()) {
      intake_.date = std::move(value);
    }
    return true;
  }

  // Takes the name through its colon; false for a bad name, whose last byte is left unread.
  bool read_name(std::string& raw) {
    int c = client_.get();
    for (; is_name_byte(c); c = client_.get()) raw += static_cast<char>(c);
    const bool has_name = !raw.empty();
    for (; has_name && is_blank(c); c = client_.get()) raw += static_cast<char>(c);
    if (!has_name || c != ':') return fail(c);
    raw += ':';
    return true;
  }

  bool fail(int c) {
    if (c == '\0') intake_.has_nul = true;
    if (c != '\0' && c != kEnd) intake_.bad_header = true;
    if (c != kEnd) client_.step_back();
    return false;
  }

  // Takes the rest of the field: `raw` with its line ends as CRLF, `value` without them and without
  // the blanks before it. False at a NUL, left unread, and at the end of input.
  bool read_value(std::string& raw, std::string& value) {
    for (;;) {
      int c = client_.get();
      if (is_newline(c)) {
        if (c == '\r' && peek() == '\n') client_.get();
        raw += "\r\n";
        if (!is_blank(peek())) return true;
        c = client_.get();
      }
      if (c == '\0' || c == kEnd) return fail(c);
      raw += static_cast<char>(c);
      if (!value.empty() || !is_blank(c)) value += static_cast<char>(c);
    }
  }

  Connection& client_;
  Spool& spool_;
  Intake& intake_;
};

void delete_lone_crs(std::string& piece) {
  std::string kept;
  for (std::size_t i = 0; i < piece.size(); ++i) {
    if (piece[i] != '\r' || (i + 1 < piece.size() && piece[i + 1] == '\n')) kept += piece[i];
  }
  piece = std::move(kept);
}

void read_body(Connection& client, Spool& spool, Intake& intake) {
  constexpr std::size_t kPiece = 8189;
  for (;;) {
    std::string piece = client.read_line(kPiece);
    if (piece.empty()) return;
    if (piece.find('\0') != std::string::npos) {
      intake.has_nul = true;
      continue;
    }
    if (piece.back() == '\r') {
      // The LF that belongs to it may come with the next piece.
      if (piece.size() > 1) client.step_back();
      piece.pop_back();
    } else if (piece.back() == '\n' && (piece.size() == 1 || piece[piece.size() - 2] != '\r')) {
      piece.insert(piece.size() - 1, 1, '\r');
    }
    if (piece.find('\r') != std::string::npos) delete_lone_crs(piece);
    if (piece == ".\r\n") {
      intake.ended = true;
      return;
    }
    spool.append(piece.starts_with('.') ? std::string_view(piece).substr(1) : piece);
  }
}

}  // namespace

Intake take_message(Connection& client, Spool& spool) {
  Intake intake;
  HeaderReader(client, spool, intake).read_all();
  read_body(client, spool, intake);
  spool.finish();
  return intake;
}

}  // namespace store

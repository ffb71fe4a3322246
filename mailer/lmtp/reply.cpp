#include "mailer/lmtp/reply.h"

#include <algorithm>
#include <charconv>

namespace lmtpq::mailer {
namespace {

constexpr std::string_view kBlank = " \t";
constexpr std::size_t kCodeAndEnd = std::string_view("334 \r").size();

bool digit(char c) { return c >= '0' && c <= '9'; }

// RFC 3463: subject and detail are 1 to 3 digits.
std::optional<int> take_number(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && digit(text[length])) {
    ++length;
  }
  if (length == 0 || length > 3) {
    return std::nullopt;
  }
  int value = 0;
  std::from_chars(text.data(), text.data() + length, value);
  text.remove_prefix(length);
  return value;
}

std::string_view without_leading_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlank), text.size()));
  return text;
}

void make_printable(std::string& text) {
  std::replace(text.begin(), text.end(), '\t', ' ');
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
}

bool take_dot(std::string_view& text) {
  if (text.empty() || text.front() != '.') {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string EnhancedStatus::text() const {
  std::string text = std::to_string(klass);
  for (const int number : {subject, detail}) {
    text += '.';
    text += std::to_string(number);
  }
  return text;
}

std::optional<EnhancedStatus> EnhancedStatus::take(std::string_view& text) {
  std::string_view rest = text;
  if (rest.empty() || (rest[0] != '2' && rest[0] != '4' && rest[0] != '5')) {
    return std::nullopt;
  }
  const int klass = rest[0] - '0';
  rest.remove_prefix(1);
  if (!take_dot(rest)) {
    return std::nullopt;
  }
  const auto subject = take_number(rest);
  if (!subject || !take_dot(rest)) {
    return std::nullopt;
  }
  const auto detail = take_number(rest);
  if (!detail || (!rest.empty() && kBlank.find(rest.front()) == kBlank.npos)) {
    return std::nullopt;
  }
  text = without_leading_blanks(rest);
  return EnhancedStatus{klass, *subject, *detail};
}

std::string Reply::text() const {
  std::string first;
  std::string rest;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool carried = std::find(detailed.begin(), detailed.end(), i) != detailed.end();
    std::string& part = carried ? first : rest;
    part += part.empty() || lines[i].empty() ? lines[i] : " " + lines[i];
  }
  return first.empty() || rest.empty() ? first + rest : first + "; " + rest;
}

std::string Reply::summary() const {
  std::string all = std::to_string(code);
  if (status) {
    all += " " + EnhancedStatus{odd_class == 0 ? status->klass : odd_class, status->subject,
                                status->detail}
                     .text();
  }
  const std::string words = text();
  return words.empty() ? all : all + " " + words;
}

std::string session_id(const Reply& reply) {
  constexpr std::string_view kKey = "SESSIONID=<";
  for (const std::string& line : reply.lines) {
    const std::size_t start = line.find(kKey);
    const std::size_t end = start == std::string::npos ? start : line.find('>', start);
    if (end != std::string::npos) {
      return line.substr(start + kKey.size(), end - start - kKey.size());
    }
  }
  return {};
}

// A new string, as a shortened one would keep the memory of the long one.
std::string capped(std::string text, std::size_t most) {
  if (text.size() > most) {
    text = text.substr(0, most);
  }
  return text;
}

Reply capped(const Reply& reply) {
  if (reply.lines.empty() || (reply.lines.size() == 1 && reply.lines[0].size() <= kMaxReplyLine)) {
    return reply;
  }
  return {reply.code, reply.status, {capped(reply.text())}, {}, reply.odd_class};
}

std::string printable(std::string_view text) {
  std::string out(text);
  make_printable(out);
  return out;
}

std::string reply_line(int code, const EnhancedStatus& status, std::string_view text) {
  std::string line;
  line.reserve(kMaxReplyLine);
  line += std::to_string(code);
  line += ' ';
  line += status.text();
  line += ' ';
  line += text.substr(0, kMaxReplyLine - 2 - line.size());
  make_printable(line);
  line += "\r\n";
  return line;
}

ReplyParser::Result ReplyParser::bad(std::string reason) {
  bad_reason_ = std::move(reason);
  return Result::kBad;
}

ReplyParser::Result ReplyParser::parse(std::string_view& input) {
  while (!input.empty()) {
    const std::size_t newline = input.find('\n');
    const std::string_view piece = input.substr(0, newline);
    const std::size_t most = challenges_ ? kMaxChallenge + kCodeAndEnd : kMaxKeptLine;
    const std::size_t room = most - std::min(most, line_.size());
    if (challenges_ && piece.size() > room) {
      return bad("challenge too long");
    }
    line_.append(piece.substr(0, room));
    seen_ += piece.size();
    if (seen_ > kMaxReply) {
      return bad("reply too long");
    }
    if (newline == std::string_view::npos) {
      input = {};
      return Result::kNeedMore;
    }
    input.remove_prefix(newline + 1);
    ++seen_;
    const Result result = end_line();
    if (result != Result::kNeedMore) {
      return result;
    }
  }
  return Result::kNeedMore;
}

// A status that fits the code counts before one that does not, and the last of either. False: it is
// text.
bool ReplyParser::take_status(const EnhancedStatus& status) {
  const bool fits = status.klass == reply_.klass();
  const bool refuses = reply_.negative() && (status.klass == 4 || status.klass == 5);
  const bool first = !reply_.status || reply_.odd_class != 0;
  if (!fits && !(refuses && first)) {
    return false;
  }
  reply_.status = {reply_.klass(), status.subject, status.detail};
  reply_.odd_class = fits ? 0 : status.klass;
  return true;
}

// RFC 5321 section 4.2: Reply-line = *( Reply-code "-" [ textstring ] CRLF )
//                                    Reply-code [ SP textstring ] CRLF
ReplyParser::Result ReplyParser::end_line() {
  std::string_view line = line_;
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  const bool coded = line.size() >= 3 && line[0] >= '1' && line[0] <= '5' && digit(line[1]) &&
                     digit(line[2]) && (line.size() == 3 || line[3] == ' ' || line[3] == '-');
  if (!coded) {
    return bad("not a reply: " + printable(line.substr(0, 100)));
  }
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (reply_.code != 0 && reply_.code != code) {
    return bad("different codes in one reply: " + std::to_string(reply_.code) + " and " +
               std::to_string(code));
  }
  reply_.code = code;
  const bool last = line.size() == 3 || line[3] == ' ';
  std::string_view text = line.substr(std::min<std::size_t>(4, line.size()));
  std::string_view after_status = without_leading_blanks(text);
  const auto status = EnhancedStatus::take(after_status);
  const bool carries_status = status && take_status(*status);
  if (carries_status) {
    text = after_status;
  }
  // An empty line takes memory, too.
  kept_ += text.size() + 16;
  if (kept_ <= (challenges_ ? kMaxChallenge + 16 : kMaxKept)) {
    if (carries_status) {
      reply_.detailed.push_back(reply_.lines.size());
    }
    reply_.lines.push_back(printable(text));
  }
  line_.clear();
  return last ? Result::kReply : Result::kNeedMore;
}

Reply ReplyParser::take() {
  Reply reply = std::move(reply_);
  reply_ = {};
  seen_ = kept_ = 0;
  return reply;
}

}  // namespace lmtpq::mailer

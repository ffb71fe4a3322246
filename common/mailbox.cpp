#include "common/mailbox.h"

#include "common/escape.h"

namespace lmtpq {
namespace {

bool alphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// UTF8-non-ascii (RFC 6531 section 3.3) without the controls above 127, or one byte of an older
// charset, which the store may accept.
std::size_t non_ascii_length(std::string_view text) {
  const std::size_t length = utf8_length(text);
  if (length == 0 && !text.empty()) {
    return 1;
  }
  return length > 1 && !is_control(text.substr(0, length)) ? length : 0;
}

// How many bytes at the front of `text` are `ascii` characters or UTF8-non-ascii.
template <typename Ascii>
std::size_t run_length(std::string_view text, Ascii ascii) {
  std::size_t end = 0;
  while (end < text.size()) {
    const std::size_t step = ascii(text[end]) ? 1 : non_ascii_length(text.substr(end));
    if (step == 0) {
      break;
    }
    end += step;
  }
  return end;
}

// Quoted-string = DQUOTE *QcontentSMTP DQUOTE (RFC 5321 section 4.1.2)
std::size_t quoted_length(std::string_view text) {
  std::size_t end = 1;
  while (end < text.size() && text[end] != '"') {
    const bool pair = text[end] == '\\';
    if (pair) {
      ++end;
    }
    const std::string_view rest = text.substr(end);
    const bool printable = !rest.empty() && rest[0] >= ' ' && rest[0] <= '~';
    const std::size_t step = printable ? 1 : pair ? 0 : non_ascii_length(rest);
    if (step == 0) {
      return 0;
    }
    end += step;
  }
  return end < text.size() ? end + 1 : 0;
}

// Local-part = Dot-string / Quoted-string (RFC 5321 section 4.1.2), with dots anywhere, and quoted
// pairs outside quotes too: devices send DOMAIN\user, and Cyrus accepts it.
std::size_t local_part_length(std::string_view text) {
  if (!text.empty() && text[0] == '"') {
    return quoted_length(text);
  }
  std::size_t end = 0;
  for (;;) {
    end += run_length(text.substr(end), [](char c) {
      constexpr std::string_view kSpecial = "!#$%&'*+-/=?^_`{|}~.";
      return alphanumeric(c) || kSpecial.find(c) != std::string_view::npos;
    });
    const bool pair =
        end + 1 < text.size() && text[end] == '\\' && text[end + 1] >= ' ' && text[end + 1] <= '~';
    if (!pair) {
      return end;
    }
    end += 2;
  }
}

// ( Domain / address-literal ) (RFC 5321 sections 4.1.2 and 4.1.3)
std::size_t domain_length(std::string_view text) {
  if (text.empty() || text[0] != '[') {
    return run_length(text,
                      [](char c) { return alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
  }
  std::size_t end = 1;
  while (end < text.size() &&
         (alphanumeric(text[end]) || text[end] == '.' || text[end] == ':' || text[end] == '-')) {
    ++end;
  }
  // `[]` is allowed: it is in the sender of qmail's double bounces.
  return end < text.size() && text[end] == ']' ? end + 1 : 0;
}

struct Measured {
  std::size_t length = 0;  // 0: no mailbox at the front of the text
  std::size_t at = std::string::npos;
};

// Mailbox = Local-part [ "@" ( Domain / address-literal ) ]
Measured measure(std::string_view text) {
  const std::size_t local = local_part_length(text);
  if (local == 0 || local == text.size() || text[local] != '@') {
    return {local, std::string::npos};
  }
  const std::size_t domain = domain_length(text.substr(local + 1));
  if (domain == 0) {
    return {};
  }
  return {local + 1 + domain, local};
}

// A-d-l = At-domain *( "," At-domain ), with the colon after it; false: malformed.
bool skip_source_route(std::string_view& text) {
  while (!text.empty() && text[0] == '@') {
    const std::size_t domain = domain_length(text.substr(1));
    if (domain == 0 || domain + 1 == text.size()) {
      return false;
    }
    const char end = text[domain + 1];
    text.remove_prefix(domain + 2);
    if (end == ':') {
      return true;
    }
    if (end != ',' || text.empty() || text[0] != '@') {
      return false;
    }
  }
  return true;
}

}  // namespace

std::optional<Mailbox> Mailbox::parse(std::string_view text) {
  if (text.size() > kMaxLength) {
    return std::nullopt;
  }
  const Measured measured = measure(text);
  if (measured.length == 0 || measured.length != text.size()) {
    return std::nullopt;
  }
  Mailbox mailbox;
  mailbox.text_ = text;
  mailbox.at_ = measured.at;
  return mailbox;
}

std::string_view Mailbox::local_part() const { return std::string_view(text_).substr(0, at_); }

std::string_view Mailbox::domain() const {
  return at_ == std::string::npos ? std::string_view() : std::string_view(text_).substr(at_ + 1);
}

bool Mailbox::needs_utf8() const {
  bool found = false;
  for (std::string_view rest = text_; !rest.empty();) {
    const std::size_t length = utf8_length(rest);
    if (length == 0) {
      return false;
    }
    found = found || length > 1;
    rest.remove_prefix(length);
  }
  return found;
}

std::string_view without_brackets(std::string_view path) {
  const bool bracketed = path.starts_with('<') && path.ends_with('>');
  return bracketed ? path.substr(1, path.size() - 2) : path;
}

std::optional<Mailbox> take_path(std::string_view& rest) {
  if (rest.empty() || rest[0] != '<') {
    return std::nullopt;
  }
  std::string_view inside = rest.substr(1);
  if (!inside.empty() && inside[0] == '>') {
    rest.remove_prefix(2);
    return Mailbox();
  }
  if (!skip_source_route(inside)) {
    return std::nullopt;
  }
  const std::size_t length = measure(inside).length;
  if (length == 0 || length == inside.size() || inside[length] != '>') {
    return std::nullopt;
  }
  auto mailbox = Mailbox::parse(inside.substr(0, length));
  if (mailbox) {
    rest = inside.substr(length + 1);
  }
  return mailbox;
}

}  // namespace lmtpq

#include "tests/dialogues/verbs.h"

#include <algorithm>

namespace dialogues {
namespace {

using Kind = Step::Kind;

std::string_view trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// Removes and returns the text up to `separator`, which is removed too.
std::string_view take(std::string_view& text, std::string_view separator) {
  const std::size_t end = text.find(separator);
  const std::string_view taken = trim(text.substr(0, end));
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + separator.size());
  return taken;
}

std::size_t number(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
    throw ScriptError("expected a number, not \"" + std::string(text) + "\"");
  }
  return std::stoul(std::string(text));
}

std::string bracketed(std::string_view address) {
  return address.starts_with('<') ? std::string(address) : "<" + std::string(address) + ">";
}

void send(Steps& steps, const std::string& line) { steps.push_back({Kind::kSend, line + "\r\n"}); }
void expect(Steps& steps, const std::string& pattern) { steps.push_back({Kind::kExpect, pattern}); }

struct Parties {
  std::string sender;
  std::vector<std::string> recipients;
  bool ignore_quota = false;
};

// `A to B, C [with IGNOREQUOTA]` or `A to 30 recipients`
Parties parties(std::string_view text) {
  Parties made;
  made.sender = bracketed(take(text, " to "));
  if (text.ends_with(" with IGNOREQUOTA")) {
    made.ignore_quota = true;
    text.remove_suffix(std::string_view(" with IGNOREQUOTA").size());
  }
  if (text.ends_with(" recipients")) {
    const std::size_t count = number(trim(take(text, " recipients")));
    for (std::size_t i = 1; i <= count; ++i) {
      made.recipients.push_back("<r" + std::to_string(i) + "@example.org>");
    }
    return made;
  }
  while (!text.empty()) {
    made.recipients.push_back(bracketed(take(text, ",")));
  }
  if (made.recipients.empty()) {
    throw ScriptError("expected SENDER to RECIPIENT, ...");
  }
  return made;
}

Steps client_opens(std::string_view) {
  Steps steps;
  expect(steps, "220 *");
  send(steps, "LHLO mx.example");
  steps.push_back({Kind::kExpectReply, "250"});
  return steps;
}

Steps client_sends(std::string_view text) {
  const Parties all = parties(text);
  Steps steps;
  send(steps, "MAIL FROM:" + all.sender);
  expect(steps, "250 2.1.0 *");
  for (const std::string& recipient : all.recipients) {
    send(steps, "RCPT TO:" + recipient);
    expect(steps, "250 2.1.5 *");
  }
  send(steps, "DATA");
  expect(steps, "354 *");
  return steps;
}

// `[id X] [of N bytes]`
std::pair<std::string, std::size_t> message_named(std::string_view text) {
  std::string id = "Q100";
  std::size_t size = 0;
  while (!text.empty()) {
    const std::string_view word = take(text, " ");
    if (word == "id") {
      id = take(text, " ");
    } else if (word == "of") {
      size = number(take(text, " "));
    } else if (word != "bytes") {
      throw ScriptError("expected [id X] [of N bytes]");
    }
  }
  return {id, size};
}

Steps client_writes_message(std::string_view text) {
  const auto [id, size] = message_named(text);
  std::string wire;
  const std::string message = standard_message(id, size);
  for (std::size_t at = 0; at < message.size();) {
    const std::size_t end = message.find('\n', at) + 1;
    wire += message[at] == '.' ? "." : "";
    wire.append(message, at, end - at);
    at = end;
  }
  return {{Kind::kSend, wire + ".\r\n"}};
}

Steps client_quits(std::string_view) {
  Steps steps;
  send(steps, "QUIT");
  expect(steps, "221 2.0.0 *");
  steps.push_back({Kind::kSeeEnd, ""});
  return steps;
}

Steps store_opens(std::string_view text) {
  Steps steps;
  send(steps, "220 store.example LMTP ready");
  expect(steps, "LHLO lmtpq.example");
  std::vector<std::string> lines{"store.example"};
  while (!text.empty()) {
    lines.emplace_back(take(text, ","));
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    send(steps, (i + 1 < lines.size() ? "250-" : "250 ") + lines[i]);
  }
  return steps;
}

Steps store_takes(std::string_view text) {
  const Parties all = parties(text);
  Steps steps;
  expect(steps, "MAIL FROM:" + all.sender + "*");
  send(steps, "250 2.1.0 ok");
  for (const std::string& recipient : all.recipients) {
    expect(steps, "RCPT TO:" + recipient + (all.ignore_quota ? " IGNOREQUOTA" : ""));
    send(steps, "250 2.1.5 ok");
  }
  expect(steps, "DATA");
  send(steps, "354 go ahead");
  return steps;
}

Steps store_reads_message(std::string_view text) {
  const auto [id, size] = message_named(text);
  return {{Kind::kExpectMessage, id, 0, size}};
}

// `50 ms`
Steps waits(std::string_view text) { return {{Kind::kWait, "", 0, number(take(text, " ms"))}}; }

struct Verb {
  Side side;
  std::string_view words;
  Steps (*make)(std::string_view rest);
};

template <Kind kind>
Steps single(std::string_view rest) {
  return {{kind, std::string(rest)}};
}

constexpr Verb kVerbs[] = {
    {Side::kClient, "opens", client_opens},
    {Side::kStore, "opens", store_opens},
    {Side::kClient, "writes message", client_writes_message},
    {Side::kStore, "reads message", store_reads_message},
    {Side::kClient, "quits", client_quits},
    {Side::kClient, "sends", client_sends},
    {Side::kStore, "takes", store_takes},
    {Side::kEither, "half-closes", single<Kind::kHalfClose>},
    {Side::kEither, "closes", single<Kind::kClose>},
    {Side::kEither, "aborts", single<Kind::kAbort>},
    {Side::kEither, "stalls", single<Kind::kStall>},
    {Side::kEither, "deaf", single<Kind::kDeaf>},
    {Side::kEither, "dribbles", single<Kind::kDribble>},
    {Side::kEither, "marks", single<Kind::kMark>},
    {Side::kEither, "awaits", single<Kind::kAwait>},
    {Side::kEither, "receives nothing", single<Kind::kReceiveNothing>},
    {Side::kEither, "waits", waits},
    {Side::kEither, "sees end", single<Kind::kSeeEnd>},
    {Side::kClient, "terminates", single<Kind::kTerminate>},
};

}  // namespace

Steps steps_of_verb(Side side, std::string_view text) {
  for (const Verb& verb : kVerbs) {
    if ((verb.side == Side::kEither || verb.side == side) && text.starts_with(verb.words)) {
      return verb.make(trim(text.substr(verb.words.size())));
    }
  }
  throw ScriptError("no such verb: " + std::string(text));
}

std::string standard_message(std::string_view id, std::size_t size) {
  std::string message = "Received: from client.example by mx.example with ESMTP id " +
                        std::string(id) +
                        ";\r\n\tSat, 21 Nov 2026 10:00:00 +0000\r\nSubject: a test\r\n\r\n";
  if (size == 0) {
    return message + "Hello\r\n";
  }
  for (std::size_t n = 0; message.size() + 2 < size; ++n) {
    // Lines of all lengths, some with dots in front.
    std::string line(n % 3 == 0 ? n % 4 : 0, '.');
    line.append(n * 37 % 990, static_cast<char>('!' + n % 90));
    line.resize(std::min(line.size(), size - message.size() - 2));
    message += line + "\r\n";
  }
  return message;
}

}  // namespace dialogues

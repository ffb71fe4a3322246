#include "session.h"

#include <algorithm>
#include <utility>

#include "ids.h"
#include "parameters.h"

namespace store {

const Session::Verb Session::kVerbs[] = {
    {"LHLO ", &Session::lhlo},   {"MAIL ", &Session::mail}, {"RCPT ", &Session::rcpt},
    {"DATA", &Session::data},    {"RSET", &Session::rset},  {"NOOP", &Session::noop},
    {"VRFY ", &Session::vrfy},   {"AUTH ", &Session::auth}, {"QUIT", &Session::quit},
    {"TRACE ", &Session::trace},
};

Session::Session(const House& house, Connection& client, std::string peer)
    : house_(house), client_(client), peer_(std::move(peer)), session_id_(new_session_id()) {}

void Session::run() {
  log(event("Connected").add("peer", peer_));
  reply("220 " + host_name() + " LMTP store server ready");
  while (!over_) {
    const std::optional<std::string> line = next_command();
    if (line) {
      dispatch(*line);
      continue;
    }
    const char* reason = client_.timed_out() ? "idle for too long" : "end of file reached";
    reply(std::string("421 4.4.1 bye ") + reason);
    log(event("Lost connection")
            .add("reason", reason)
            .add("transaction", transaction_.sender.empty() ? "none" : "open"));
    over_ = true;
  }
  client_.flush();
}

std::optional<std::string> Session::next_command() {
  constexpr std::size_t kLongest = 4095;
  std::string line = client_.read_line(kLongest);
  if (line.empty()) return std::nullopt;
  line.resize(std::min(line.size(), line.find('\0')));
  if (line.ends_with('\n')) line.pop_back();
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

void Session::dispatch(const std::string& line) {
  if (house_.options.log_commands) log(event("Command").add("line", line));
  if (refuse_pipelining()) return;
  for (const Verb& verb : kVerbs) {
    const bool takes_argument = verb.word.ends_with(' ');
    if (!begins_with(line, verb.word)) continue;
    if (!takes_argument && line.size() != verb.word.size()) continue;
    if (verb.answer == &Session::trace && !house_.options.extensions.trace) continue;
    (this->*verb.answer)(std::string_view(line).substr(verb.word.size()));
    return;
  }
  reply("500 5.5.2 Syntax error");
}

// A client that was not offered PIPELINING and pipelines should not pass its tests.
bool Session::refuse_pipelining() {
  if (house_.options.extensions.pipelining || !client_.input_waiting()) return false;
  log(event("Pipelined without PIPELINING"));
  reply("554 5.5.0 Pipelining was not offered");
  over_ = true;
  return true;
}

void Session::lhlo(std::string_view) {
  const Extensions& offered = house_.options.extensions;
  const std::uint64_t limit = house_.options.max_message_size;
  reply("250-" + host_name());
  if (offered.eight_bit_mime) reply("250-8BITMIME");
  if (offered.enhanced_status_codes) reply("250-ENHANCEDSTATUSCODES");
  if (offered.pipelining) reply("250-PIPELINING");
  if (offered.size) reply(limit ? "250-SIZE " + std::to_string(limit) : "250-SIZE");
  if (offered.ignore_quota) reply("250-IGNOREQUOTA");
  if (offered.trace) reply("250-TRACE");
  reply("250 Ok " + session_id_text());
}

void Session::mail(std::string_view argument) {
  if (!transaction_.sender.empty()) return reply("503 5.5.1 Nested MAIL command");
  constexpr std::string_view kFrom = "FROM:";
  std::string path;
  if (begins_with(argument, kFrom)) path = parse_path(argument.substr(kFrom.size()));
  if (path.empty()) return reply("501 5.5.4 Syntax error in parameters");

  // Set before the parameters are looked at: the client is to see what Cyrus does after a refusal.
  transaction_.sender = path;
  const std::string refusal =
      check_mail_parameters(argument.substr(kFrom.size() + path.size()), house_.options.extensions,
                            house_.options.max_message_size);
  if (refusal.empty()) return reply("250 2.1.0 ok");
  log(event("MAIL refused").add("reason", refusal).add("from", path));
  reply(refusal);
}

void Session::rcpt(std::string_view argument) {
  if (transaction_.sender.empty()) return reply("503 5.5.1 Need MAIL command");
  constexpr std::string_view kTo = "TO:";
  std::string path;
  if (begins_with(argument, kTo)) path = parse_path(argument.substr(kTo.size()));
  if (path.empty()) return reply("501 5.5.4 Syntax error in parameters");

  Recipient recipient{"", false};
  const std::string refusal =
      check_rcpt_parameters(argument.substr(kTo.size() + path.size()), house_.options.extensions,
                            recipient.ignores_quota);
  if (!refusal.empty()) {
    log(event("RCPT refused").add("reason", refusal).add("rcpt", path));
    return reply(refusal);
  }
  const std::optional<std::string> user = house_.mailboxes.find(local_part(path));
  if (!user) return refuse_unknown(path);
  recipient.user = *user;
  if (refuse_over_quota(recipient)) return;
  transaction_.recipients.push_back(recipient);
  reply("250 2.1.5 ok");
}

void Session::data(std::string_view) {
  if (transaction_.recipients.empty()) return reply("503 5.5.1 No recipients");
  Spool spool(house_.mailboxes.directory());
  if (spool.error()) {
    log(event("No spool file").add("reason", std::to_string(spool.error())));
    transaction_ = {};
    return reply("451 4.3.2 cannot create temporary file");
  }
  reply("354 go ahead");
  spool.append("Return-Path: " + return_path() + "\r\n");
  const Intake intake = take_message(client_, spool);
  if (intake.ended && refuse_pipelining()) return;

  const std::uint64_t limit = house_.options.max_message_size;
  if (!intake.ended) {
    refuse_message("end of input in the message", "451 4.3.0 System I/O error");
  } else if (intake.has_nul) {
    refuse_message("NUL", "554 5.6.0 Message contains NUL characters");
  } else if (intake.bad_header || (intake.has_message_id && intake.message_id.empty())) {
    refuse_message("bad header", "554 5.6.0 Message contains invalid header");
  } else if (spool.error()) {
    refuse_message("spool file", "451 4.3.2 cannot copy message to temporary file");
  } else if (limit != 0 && spool.size() > limit) {
    log(event("Message refused").add("reason", "too large").add("size", spool.size()));
    // One reply, and the transaction stays as it is.
    return reply("552 5.2.3 Message size (" + std::to_string(spool.size()) +
                 ") exceeds fixed maximum message size (" + std::to_string(limit) + ")");
  } else {
    for (const Recipient& recipient : transaction_.recipients) {
      file_for(recipient, intake, spool);
    }
  }
  transaction_ = {};
}

void Session::rset(std::string_view) {
  const std::string old_session_id = std::exchange(session_id_, new_session_id());
  const std::string old_trace_id = std::exchange(trace_id_, "");
  transaction_ = {};
  log(event("Reset").add("previous", old_session_id));
  if (!old_trace_id.empty()) log(event("Trace id cleared").add("previous", old_trace_id));
  reply("250 2.0.0 Ok " + session_id_text());
}

void Session::noop(std::string_view) { reply("250 2.0.0 ok"); }

void Session::vrfy(std::string_view) { reply("252 2.3.3 try RCPT to attempt delivery"); }

void Session::trace(std::string_view argument) {
  if (argument.empty()) {
    // Cyrus takes no id as a wish for none, and prints that as C does.
    log(event("Trace id cleared").add("previous", std::exchange(trace_id_, "")));
    return reply("250 2.0.0 Ok " + session_id_text() + " TRACEID=<(null)>");
  }
  const bool dots = argument.find('.') != std::string_view::npos;
  if (!valid_trace_id(argument) || (dots && !house_.options.dots_in_trace_ids)) {
    log(event("Trace id refused").add("id", argument));
    return reply("501 5.5.4 Invalid TRACE id.");
  }
  trace_id_ = argument;
  log(event("Trace id set"));
  reply("250 2.0.0 Ok " + session_id_text() + " TRACEID=<" + trace_id_ + ">");
}

// Every client is let in without it, so no mechanism is offered.
void Session::auth(std::string_view) {
  if (!transaction_.recipients.empty()) return reply("503 5.5.0 AUTH not permitted now");
  reply("504 Unrecognized authentication type.");
}

void Session::quit(std::string_view) {
  reply("221 2.0.0 bye");
  log(event("Quit"));
  over_ = true;
}

// The enhanced code follows the reply code: "250 2.1.0 ok", "550 5.1.1 User unknown".
void Session::reply(std::string_view line) {
  const auto digit = [line](std::size_t at) { return line[at] >= '0' && line[at] <= '9'; };
  const bool has_code = line.size() > 10 && line[3] == ' ' && digit(4) && line[5] == '.' &&
                        digit(6) && line[7] == '.' && digit(8) && line[9] == ' ';
  if (has_code && !house_.options.extensions.enhanced_status_codes) {
    client_.write(line.substr(0, 4));
    line.remove_prefix(10);
  }
  client_.write(line);
  client_.write("\r\n");
}

Event Session::event(std::string_view name) const {
  Event event(name);
  event.add("sessionid", session_id_);
  if (!trace_id_.empty()) event.add("r.tid", trace_id_);
  return event;
}

}  // namespace store

// LmtpClient's transactions: RSET, TRACE, MAIL, RCPT, DATA, and the final replies.

#include <algorithm>

#include "mailer/lmtp/command.h"
#include "mailer/lmtp/lmtp_client.h"
#include "mailer/lmtp/refusal.h"

namespace lmtpq::mailer {
namespace {

constexpr int kGoAhead = 354;
constexpr int kClosing = 221;

}  // namespace

// Keeps the memory of the last transaction's lists.
void LmtpClient::Progress::begin(const Transaction& transaction) {
  purpose = transaction.purpose;
  accepted.assign(transaction.recipients.size(), false);
  answers.assign(transaction.recipients.size(), std::nullopt);
  trace_refusal.reset();
  trace_reply.reset();
  envelope_done = false;
  finals = 0;
  message_refusal.reset();
  closing.clear();
  quit = false;
}

bool LmtpClient::Progress::anyone_accepted() const {
  for (std::size_t i = 0; i < accepted.size(); ++i) {
    if (awaits_final(i)) {
      return true;
    }
  }
  return false;
}

bool LmtpClient::Progress::all_answered() const {
  return std::all_of(answers.begin(), answers.end(),
                     [](const auto& answer) { return answer.has_value(); });
}

void LmtpClient::Progress::answer_remaining(Awaited stage, const Reply& reply) {
  const Answer all{stage, kept(reply)};
  for (auto& answer : answers) {
    if (!answer) {
      answer = all;
    }
  }
}

Reply LmtpClient::Progress::kept(const Reply& reply) const {
  return purpose == Transaction::Purpose::kAsk ? reply : capped(reply);
}

void LmtpClient::begin(const Transaction& transaction) {
  transaction_.begin(transaction);
  transaction_.follows_another = used_;
  queue_commands(transaction);
  used_ = true;
  state_ = ClientState::kEnvelope;
  pump();
}

void LmtpClient::queue_commands(const Transaction& transaction) {
  if (used_) {
    unsent_.push_back({Awaited::kRset, "RSET\r\n"});
  }
  if (!transaction.trace.empty() && capabilities_.offers("TRACE")) {
    unsent_.push_back({Awaited::kTrace, trace_line(transaction.trace)});
  }
  if (transaction.purpose == Transaction::Purpose::kTrace) {
    unsent_.push_back({Awaited::kRset, "RSET\r\n"});
    return;
  }
  const BodyType body = capabilities_.offers("8BITMIME") ? transaction.body : BodyType::kUnstated;
  const AddressCharset charset =
      capabilities_.offers("SMTPUTF8") ? transaction.charset : AddressCharset::kAscii;
  const auto size = capabilities_.offers("SIZE") ? transaction.size : std::nullopt;
  const Hops hops = capabilities_.offers("XLMTPQ") ? transaction.hops : Hops();
  unsent_.push_back({Awaited::kMail, mail_line(transaction.sender, body, charset, size, hops)});
  const bool offered = capabilities_.offers("IGNOREQUOTA");
  for (std::size_t i = 0; i < transaction.recipients.size(); ++i) {
    const Recipient& to = transaction.recipients[i];
    const bool ignore_quota = to.ignore_quota && offered;
    unsent_.push_back({Awaited::kRcpt, rcpt_line(to.mailbox, ignore_quota), i});
  }
  if (transaction.purpose == Transaction::Purpose::kDeliver) {
    unsent_.push_back({Awaited::kData, "DATA\r\n"});
  }
}

void LmtpClient::end_transaction() {
  state_ = ClientState::kReady;
  if (!transaction_.closing.empty()) {
    lost(transaction_.closing);
  }
}

void LmtpClient::handle_rset(const Reply& reply) {
  if (!reply.positive()) {
    broken_by(reply, "RSET refused");
  }
}

// A refusal never stops mail. No older id remains, as the RSET before TRACE has cleared it.
void LmtpClient::handle_trace(const Reply& reply) {
  if (transaction_.purpose == Transaction::Purpose::kTrace) {
    transaction_.trace_reply = reply;
  }
  if (!reply.positive()) {
    transaction_.trace_refusal = reply;
  }
}

// A refusal that is about the session says nothing about this message, unless the session is new.
void LmtpClient::handle_mail(const Reply& reply) {
  if (transaction_.follows_another && refuses_session(reply)) {
    broken_by(reply, "MAIL refused on a used connection");
  } else if (reply.negative()) {
    transaction_.answer_remaining(Awaited::kMail, reply);
  } else if (!reply.positive()) {
    out_of_step("invalid reply to MAIL: " + reply.summary());
  }
}

void LmtpClient::handle_rcpt(std::size_t recipient, const Reply& reply) {
  if (transaction_.answers[recipient]) {
    return;  // MAIL was refused; Cyrus's reply to the pipelined RCPT then means nothing
  }
  if (reply.positive() && transaction_.purpose == Transaction::Purpose::kDeliver) {
    transaction_.accepted[recipient] = true;
  } else if (reply.positive() || reply.negative()) {
    transaction_.answers[recipient] = Answer{Awaited::kRcpt, transaction_.kept(reply)};
  } else {
    out_of_step("invalid reply to RCPT: " + reply.summary());
  }
}

void LmtpClient::handle_data(const Reply& reply) {
  if (reply.negative()) {
    transaction_.answer_remaining(Awaited::kData, reply);
  } else if (reply.code != kGoAhead) {
    out_of_step("invalid reply to DATA: " + reply.summary());
  } else if (transaction_.anyone_accepted()) {
    state_ = ClientState::kBody;
  } else {
    broken_by(reply, "DATA accepted without a recipient");
  }
}

void LmtpClient::end_of_data() {
  transaction_.envelope_done = true;
  state_ = ClientState::kFinal;
  for (std::size_t i = 0; i < transaction_.accepted.size(); ++i) {
    if (transaction_.awaits_final(i)) {
      expected_.push_back({Awaited::kFinal, i});
      if (protocol_ == Protocol::kSmtp) {
        break;
      }
    }
  }
}

void LmtpClient::handle_final(std::size_t recipient, const Reply& reply) {
  if (!reply.positive() && !reply.negative()) {
    broken_by(reply, "invalid reply to the end of data");
    return;
  }
  if (reply.code == kClosing) {
    handle_closing(reply);
    return;
  }
  if (protocol_ == Protocol::kSmtp) {
    transaction_.answer_remaining(Awaited::kFinal, reply);
  } else {
    transaction_.answers[recipient] = Answer{Awaited::kFinal, capped(reply)};
  }
  if (++transaction_.finals == 1 && refuses_message(reply)) {
    transaction_.message_refusal = reply;
  }
  // RFC 5321 section 3.8: a server that must shut down may send a 421 at any time. It may be about
  // nobody, and then the next reply is this recipient's and not the next one's.
  if (reply.code == 421) {
    transaction_.answer_remaining(Awaited::kFinal, reply);
    transaction_.closing = "the store closes the connection: " + reply.summary();
    end_transaction();
  } else if (awaited() != Awaited::kFinal) {
    end_transaction();
  }
}

// The reply to QUIT in place of a final one. A store that has answered a second recipient
// owes a reply to each of the others too.
void LmtpClient::handle_closing(const Reply& reply) {
  const bool asked = transaction_.quit && output_.unwritten.empty();
  if (asked && transaction_.finals == 1) {
    Reply shared = *transaction_.message_refusal;
    shared.lines.back() += " (the only reply, taken for all recipients)";
    transaction_.answer_remaining(Awaited::kFinal, shared);
  }
  broken_by(reply, "the store closes the connection");
}

// Without pipelining, QUIT must not be sent before the other replies.
bool LmtpClient::message_refused() const {
  return state_ == ClientState::kFinal && transaction_.finals == 1 &&
         transaction_.message_refusal && !transaction_.quit && window() > 1;
}

void LmtpClient::quit_after_refusal() {
  transaction_.quit = true;
  transaction_.closing = "closed by QUIT";
  quit();
}

}  // namespace lmtpq::mailer

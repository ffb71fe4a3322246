#include "mailer/lmtp/lmtp_client.h"

#include <algorithm>

#include "mailer/lmtp/command.h"

namespace lmtpq::mailer {
namespace {

// What an outcome shows of it. A store can make each of thousands of replies kilobytes long, and
// they stay as long as the connection is idle.
Reply short_of(const Reply& reply) {
  if (reply.lines.empty() || (reply.lines.size() == 1 && reply.lines[0].size() <= kMaxReplyLine)) {
    return reply;
  }
  Reply made;
  made.code = reply.code;
  made.status = reply.status;
  made.lines.push_back(reply.text().substr(0, kMaxReplyLine));
  return made;
}

}  // namespace

LmtpClient::LmtpClient(std::string name, std::size_t window)
    : name_(std::move(name)), window_(window) {
  expected_.push_back({Awaited::kGreeting, 0, {}, 0});
}

std::optional<Awaited> LmtpClient::awaited() const {
  return expected_.empty() ? std::nullopt : std::optional(expected_.front().what);
}

void LmtpClient::lost(std::string reason) {
  if (state_ != ClientState::kBroken) {
    state_ = ClientState::kBroken;
    reason_ = std::move(reason);
  }
  expected_.clear();
  unsent_.clear();
}

void LmtpClient::broken_by(const Reply& reply, std::string reason) {
  breaking_reply_ = reply;
  lost(std::move(reason) + ": " + reply.summary());
}

void LmtpClient::out_of_step(std::string reason) {
  if (!asks_finals_) {
    answers_.assign(answers_.size(), std::nullopt);
  }
  lost(std::move(reason));
}

void LmtpClient::begin(Transaction transaction) {
  answers_.assign(transaction.recipients.size(), std::nullopt);
  accepted_.assign(transaction.recipients.size(), false);
  trace_refusal_.reset();
  finals_ = 0;
  asks_finals_ = false;
  flight_begin_ = flight_end_ = 0;
  purpose_ = transaction.purpose;
  form_ = !capabilities_.offers("CHUNKING") ? MessageForm::kData
          : window() > 1                    ? transaction.form
                                            : std::min(transaction.form, MessageForm::kChunks);
  queue_envelope(transaction);
  if (purpose_ == Transaction::Purpose::kDeliver) {
    queue_message(transaction);
  }
  used_ = true;
  state_ = ClientState::kEnvelope;
  pump();
}

void LmtpClient::queue_envelope(const Transaction& transaction) {
  if (used_) {
    unsent_.push_back({Awaited::kRset, 0, "RSET\r\n", 0});
  }
  if (!transaction.trace.empty() && capabilities_.offers("TRACE")) {
    unsent_.push_back({Awaited::kTrace, 0, trace_line(transaction.trace), 0});
  }
  const BodyType body = capabilities_.offers("8BITMIME") ? transaction.body : BodyType::kUnstated;
  const AddressCharset charset =
      capabilities_.offers("SMTPUTF8") ? transaction.charset : AddressCharset::kAscii;
  const auto size = capabilities_.offers("SIZE") ? transaction.size : std::nullopt;
  unsent_.push_back({Awaited::kMail, 0, mail_line(transaction.sender, body, charset, size), 0});
  const bool bypass_offered = capabilities_.offers("IGNOREQUOTA");
  for (std::size_t i = 0; i < transaction.recipients.size(); ++i) {
    const Recipient& to = transaction.recipients[i];
    const bool bypass = to.ignore_quota && bypass_offered;
    unsent_.push_back({Awaited::kRcpt, i, rcpt_line(to.mailbox, bypass), 0});
  }
}

void LmtpClient::queue_message(Transaction& transaction) {
  if (form_ == MessageForm::kData) {
    unsent_.push_back({Awaited::kData, 0, "DATA\r\n", 0});
  } else if (form_ == MessageForm::kOneFlight) {
    std::string flight = bdat_line(transaction.message.size(), Chunk::kLast);
    flight += transaction.message;
    unsent_.push_back({Awaited::kBdat, transaction.message.size(), std::move(flight), 0});
  }
}

void LmtpClient::send(Step step) {
  output_ += step.line;
  output_end_ += step.line.size();
  step.line.clear();
  step.end = output_end_;
  if (step.what == Awaited::kBdat) {
    flight_end_ = output_end_;
    flight_begin_ = output_end_ - step.recipient;
  }
  expected_.push_back(std::move(step));
}

std::size_t LmtpClient::commands_in_output() const {
  const bool flies = flight_end_ > written();
  return flies ? output_.size() -
                     static_cast<std::size_t>(flight_end_ - std::max(flight_begin_, written()))
               : output_.size();
}

// Sends what may be sent now; ends the envelope when nothing is left to send or to hear.
void LmtpClient::pump() {
  while (!unsent_.empty() && expected_.size() < window()) {
    if (pointless(unsent_.front())) {
      unsent_.clear();
      break;
    }
    send(std::move(unsent_.front()));
    unsent_.pop_front();
  }
  if (state_ == ClientState::kEnvelope && unsent_.empty()) {
    end_envelope();
  }
}

void LmtpClient::end_envelope() {
  if (expected_.empty()) {
    if (form_ == MessageForm::kChunks && anyone_accepted()) {
      state_ = ClientState::kBody;
    } else {
      end_transaction();
    }
  } else if (expected_.front().what == Awaited::kBdat && anyone_accepted()) {
    // In one flight; now it is known how many replies the message has.
    expected_.clear();
    expect_finals();
  }
}

// Once every recipient is answered (a refused MAIL answers all), nothing more of this transaction
// is worth sending; the next one starts with RSET.
bool LmtpClient::pointless(const Step& step) const {
  return (step.what == Awaited::kRcpt || step.what == Awaited::kData ||
          step.what == Awaited::kBdat) &&
         std::all_of(answers_.begin(), answers_.end(), [](const auto& a) { return a.has_value(); });
}

void LmtpClient::receive(std::string_view bytes) {
  while (!bytes.empty() && state_ != ClientState::kBroken) {
    if (state_ == ClientState::kHandshake || state_ == ClientState::kLoggedIn) {
      // Somebody between us and the server would have them taken for what it says in TLS.
      out_of_step(state_ == ClientState::kHandshake ? "bytes in clear behind the reply to STARTTLS"
                                                    : "bytes behind the last reply to AUTH");
      return;
    }
    const ReplyParser::Result result = parser_.parse(bytes);
    if (result == ReplyParser::Result::kBad) {
      // Within AUTH what it talks may be our password, whole or in part.
      const std::string& why = parser_.bad_reason();
      out_of_step("the store talks nonsense: " +
                  (confidential_ ? why.substr(0, why.find(':')) : why));
    } else if (result == ReplyParser::Result::kReply) {
      ++replies_;
      handle(said_.empty() ? parser_.take() : veiled(parser_.take()));
    }
  }
}

void LmtpClient::handle(const Reply& reply) {
  const std::string session = session_id(reply);
  if (!session.empty()) {
    session_ = session;
  }
  if (expected_.empty()) {
    handle_unawaited(reply);
    return;
  }
  const Step step = std::move(expected_.front());
  expected_.pop_front();
  if (step.end > output_end_ - output_.size()) {
    out_of_step("a reply before its command: " + reply.summary());
    return;
  }
  if (reply.code == 421 && step.what != Awaited::kFinal) {
    broken_by(reply, "the store closes the connection");
    return;
  }
  switch (step.what) {
    case Awaited::kGreeting:
    case Awaited::kLhlo:
      handle_opening(step.what, reply);
      break;
    case Awaited::kStarttls:
      handle_starttls(reply);
      break;
    case Awaited::kAuth:
      handle_auth(reply);
      break;
    case Awaited::kRset:
      if (!reply.positive() && flight_end_ > 0) {
        // The message is on its way: what becomes of it must be heard.
        spent_ = "RSET refused: " + reply.summary();
      } else if (!reply.positive()) {
        broken_by(reply, "RSET refused");
      }
      break;
    case Awaited::kTrace:
      // Never stops mail, and leaves no older id behind: the RSET before it cleared that.
      if (!reply.positive()) {
        trace_refusal_ = reply;
      }
      break;
    case Awaited::kMail:
      if (reply.klass() == 4 || reply.klass() == 5) {
        answer_rest(Awaited::kMail, reply);
      } else if (!reply.positive()) {
        out_of_step("nonsense in answer to MAIL: " + reply.summary());
      }
      break;
    case Awaited::kRcpt:
      handle_rcpt(step.recipient, reply);
      break;
    case Awaited::kData:
      handle_data(reply);
      break;
    case Awaited::kBdat:
      handle_bdat(reply);
      break;
    case Awaited::kFinal:
      handle_final(step.recipient, reply);
      break;
    case Awaited::kQuit:
      lost("closed by QUIT");
      break;
  }
  if (state_ == ClientState::kEnvelope) {
    pump();
  }
}

void LmtpClient::handle_rcpt(std::size_t recipient, const Reply& reply) {
  if (answers_[recipient]) {
    return;  // MAIL was refused; what Cyrus says to the pipelined RCPT then means nothing
  }
  if (reply.positive() && purpose_ == Transaction::Purpose::kDeliver) {
    accepted_[recipient] = true;
  } else if (reply.positive() || reply.klass() == 4 || reply.klass() == 5) {
    const bool asks = purpose_ == Transaction::Purpose::kAsk;  // probe shows all of it
    answers_[recipient] = Answer{Awaited::kRcpt, asks ? reply : short_of(reply)};
  } else {
    out_of_step("nonsense in answer to RCPT: " + reply.summary());
  }
}

void LmtpClient::handle_data(const Reply& reply) {
  if (reply.klass() == 3) {
    if (anyone_accepted()) {
      state_ = ClientState::kBody;
    } else {
      broken_by(reply, "DATA accepted without a recipient");
    }
  } else if (reply.klass() == 4 || reply.klass() == 5) {
    answer_rest(Awaited::kData, reply);
  } else {
    out_of_step("nonsense in answer to DATA: " + reply.summary());
  }
}

// RFC 3030 section 2: what failed once cannot be mended by further chunks.
void LmtpClient::handle_bdat(const Reply& reply) {
  const bool refused = reply.klass() == 4 || reply.klass() == 5;
  if (state_ == ClientState::kEnvelope) {
    // In one flight, and nobody was accepted: the store read the message to no end.
    if (!refused) {
      broken_by(reply, "BDAT accepted without a recipient");
    }
  } else if (refused) {
    answer_rest(Awaited::kData, reply);
    broken_by(reply, "a chunk refused");
  } else if (!reply.positive()) {
    out_of_step("nonsense in answer to BDAT: " + reply.summary());
  }
}

void LmtpClient::handle_final(std::size_t recipient, const Reply& reply) {
  if (!reply.positive() && reply.klass() != 4 && reply.klass() != 5) {
    broken_by(reply, "nonsense in answer to the end of data");
    return;
  }
  answers_[recipient] = Answer{Awaited::kFinal, short_of(reply)};
  if (++finals_ == 1) {
    first_final_ = reply;
  }
  // Behind a 421 the others may still be answered; the connection is spent all the same.
  if (reply.code == 421) {
    spent_ = "the store closes the connection";
  }
  if (expected_.empty()) {
    end_transaction();
  }
}

void LmtpClient::end_transaction() {
  state_ = ClientState::kReady;
  if (!spent_.empty()) {
    lost(spent_);
  }
}

// RFC 2033 leaves no room for a reply before the dot; a refusal is believed (a full disk, a message
// over the limit), a success is not.
void LmtpClient::handle_unawaited(const Reply& reply) {
  if (reply.code == 421) {
    broken_by(reply, "the store closes the connection");
  } else if (state_ == ClientState::kBody && (reply.klass() == 4 || reply.klass() == 5)) {
    answer_rest(Awaited::kData, reply);
    broken_by(reply, "refused before the end of data");
  } else {
    // In one flight no 354 stands between: one reply too many may have shifted all others.
    asks_finals_ = asks_finals_ && form_ != MessageForm::kOneFlight;
    out_of_step("a reply to nothing: " + reply.summary());
  }
}

void LmtpClient::answer_rest(Awaited stage, const Reply& reply) {
  const bool asks = purpose_ == Transaction::Purpose::kAsk;
  const Answer all{stage, asks ? reply : short_of(reply)};
  for (auto& answer : answers_) {
    if (!answer) {
      answer = all;
    }
  }
}

bool LmtpClient::anyone_accepted() const {
  for (std::size_t i = 0; i < accepted_.size(); ++i) {
    if (accepted_[i] && !answers_[i]) {
      return true;
    }
  }
  return false;
}

void LmtpClient::end_of_chunk() { expected_.push_back({Awaited::kBdat, 0, {}, 0}); }

void LmtpClient::end_of_data() { expect_finals(); }

void LmtpClient::expect_finals() {
  asks_finals_ = true;
  state_ = ClientState::kFinal;
  for (std::size_t i = 0; i < accepted_.size(); ++i) {
    if (accepted_[i] && !answers_[i]) {
      expected_.push_back({Awaited::kFinal, i, {}, flight_end_});
    }
  }
}

bool LmtpClient::message_refused() const {
  return state_ == ClientState::kFinal && finals_ == 1 && first_final_->code == 552 &&
         (first_final_->status == EnhancedStatus{5, 2, 3} ||
          first_final_->status == EnhancedStatus{5, 3, 4});
}

void LmtpClient::conclude_refused() {
  answer_rest(Awaited::kFinal, *first_final_);
  lost("one refusal of the message for all its recipients");
}

void LmtpClient::quit() { send({Awaited::kQuit, 0, "QUIT\r\n", 0}); }

}  // namespace lmtpq::mailer

// One message, its recipients, and a store in memory, for the tests of MessageState.
//
// A MessageState with everything that must outlive it, and connections to a ScriptedChannel. One
// object for each message; meet() closes the previous connection.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/tag/key_file.h"
#include "mailer/delivery/message_state.h"
#include "tests/unit/mailer/io/scripted_channel.h"
#include "tests/unit/mailer/store/scripted_store.h"

namespace lmtpq::mailer {

using Replies = std::deque<std::string>;

inline constexpr const char* kTestKey = "k1 AAAAAAAAAAAAAAAAAAAAAA==\n";

class MessageStateFixture {
 public:
  explicit MessageStateFixture(const std::vector<std::string>& arguments = {},
                               const std::string& message = "",
                               const std::vector<const char*>& recipients = {"alice", "bob",
                                                                             "carol"})
      : settings_(settings_with(arguments)) {
    envelope_.sender = mailbox("sender@example.org");
    for (const char* recipient : recipients) {
      envelope_.recipients.push_back({mailbox(recipient)});
    }
    settings_.keys = parse_keys(kTestKey, "keys");
    data_.append(message.empty() ? "Received: by mx id A1; d\r\nSubject: s\r\n\r\nhi\r\n"
                                 : message);
    data_.finish();
  }

  Envelope& envelope() { return envelope_; }
  Settings& settings() { return settings_; }

  MessageState& state() {
    if (!state_) {
      state_.emplace(envelope_, data_, settings_,
                     [this](const MessageState&, std::size_t i) { told_.push_back(i); });
    }
    return *state_;
  }

  // A new connection to a store that greets us, and then sends these replies.
  void meet(const Replies& replies, const std::string& offers = kOffers) {
    play_ = {};
    play_.replies = {"220 store\r\n", offers};
    upstream_.emplace(std::make_unique<ScriptedChannel>(play_), "test", settings_.store_defaults,
                      settings_, log_);
    CPPUNIT_ASSERT(upstream_->open(Deadline::max()));
    hear(replies);
  }
  void hear(const Replies& replies) {
    play_.heard.clear();
    play_.replies.insert(play_.replies.end(), replies.begin(), replies.end());
  }

  // The next transaction; true if a recipient has no reply yet.
  bool transact() {
    auto transaction = state().next_transaction(upstream_->client().capabilities());
    CPPUNIT_ASSERT(transaction.has_value());
    upstream_->transact(std::move(*transaction), data_.body(), Deadline::max(), Deadline::max(),
                        [this] {
                          state().take_early_answers(*upstream_);
                          told_at_waits_.push_back(told_.size());
                        });
    return state().take_answers(*upstream_);
  }

  Upstream& upstream() { return *upstream_; }
  const std::vector<std::size_t>& told() const { return told_; }
  // How many recipients were decided at each wait after the end of data: "0 1".
  std::string told_at_waits() const {
    std::string all;
    for (const std::size_t number : told_at_waits_) {
      all += (all.empty() ? "" : " ") + std::to_string(number);
    }
    return all;
  }

  std::string heard() const {
    std::string all;
    for (const std::string& line : play_.heard) {
      all += (all.empty() ? "" : " | ") + line;
    }
    return all;
  }

  // "alice sent 2.1.5 no", for each recipient with an outcome.
  std::string fates() {
    std::string all;
    for (const std::size_t i : told_) {
      const Outcome& outcome = state().outcome(i);
      all += (all.empty() ? "" : ", ") + envelope_.recipients[i].mailbox.text() + " " +
             kFateNames[static_cast<int>(outcome.fate)] + " " + outcome.status.text() + " " +
             kIgnoreQuotaUseNames[static_cast<int>(state().ignore_quota_use(i))];
    }
    return all;
  }

 private:
  Settings settings_;
  Log log_{"test", "/dev/null", LogLevel::kInfo};
  Envelope envelope_;
  MailData data_{"/nowhere", std::nullopt};
  std::optional<MessageState> state_;
  std::vector<std::size_t> told_;
  std::vector<std::size_t> told_at_waits_;
  Play play_;
  std::optional<Upstream> upstream_;
};

}  // namespace lmtpq::mailer

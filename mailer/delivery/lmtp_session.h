// One client's LMTP session on a Channel: reads commands and messages, hands each message to the
// DeliveryAgent, writes the replies. The same class serves Sendmail on two pipes and a client of
// the daemon on a socket.
//
// A session is used by one thread or fiber; agent and log outlive it. It keeps no reference to its
// settings, which hold far more than it needs: a client may stay connected for days. A client that
// disconnects, stalls, or sends nothing for too long ends the session. A message whose end of data
// was not read is discarded, never delivered.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "mailer/delivery/delivery_agent.h"
#include "mailer/delivery/session_client.h"
#include "mailer/delivery/unread_replies.h"
#include "mailer/io/channel.h"
#include "mailer/lmtp/lmtp_server.h"
#include "mailer/message/mail_data.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

// The limits that the settings have for a session; it offers no optional extension.
ServerLimits server_limits(const Settings& settings);

class LmtpSession {
 public:
  // `stopping` is asked whenever the session waits for its client: true ends it between messages.
  LmtpSession(Channel& client, const Settings& settings, ServerLimits limits, DeliveryAgent& agent,
              const Log& log, std::function<bool()> stopping, ClientNames names = {});

  // kByClient: the client sent QUIT, disconnected, or failed. kToldToStop: the session was idle
  // when `stopping` became true.
  enum class End { kByClient, kToldToStop };
  End run();
  // Sends 421 before a socket is closed. On stdio the client sees the end of the process instead.
  void send_421();

  // False: not one reply could be written, the greeting included.
  bool has_answered() const { return answered_ != Clock::time_point(); }

 private:
  bool next_input();
  bool read_input();
  bool wait_for_input();
  bool told_to_stop();
  Deadline input_deadline(Clock::time_point now) const;
  bool flush();
  bool write(std::string_view& bytes);
  bool idle() const;
  bool has_command() const;
  void begin_data();
  void free_input();
  bool deliver();
  bool send_replies(SessionClient& client, const DeliveryResult& result);
  void not_written();
  void await_reader(std::chrono::milliseconds patience);
  void check_closed();
  void check_unread(Deadline latest);
  void ended(const std::string& reason);

  Channel& client_;
  const Timeouts timeouts_;
  const std::uint64_t min_data_rate_;
  const std::string spool_dir_;
  const std::optional<std::uint64_t> max_message_size_;
  DeliveryAgent& agent_;
  const Log& log_;
  std::function<bool()> stopping_;
  const ClientNames names_;
  LmtpServer server_;
  std::string input_;       // being consumed
  std::string pending_;     // was read while we wrote
  std::string_view piece_;  // of input_: the server reads it now
  std::string_view rest_;   // of input_: after piece_
  UnreadReplies unread_;
  std::optional<MailData> data_;
  Clock::time_point begun_;                // of the current message
  std::uint64_t read_ = 0;                 // bytes of the current message
  Clock::time_point answered_;             // our latest reply
  std::optional<Clock::time_point> told_;  // when we saw that we are to stop
  End end_ = End::kByClient;
};

}  // namespace lmtpq::mailer

// One client's LMTP session: the server's protocol on a Channel, each message sent down the road.
//
// What it is: the loop that reads, keeps the message, delivers, answers. The same class for
//   Sendmail on two pipes and for a client on a socket.
// What it does not know: how the channel came to be, what happens in delivery.
// Called by: the stdio front and the daemon's clients.
// Threads and lifetimes: one thread; settings, carrier and log outlive it.
// Failure: a client that dies, stalls or is silent for too long ends the session; a message whose
//   end was not read is thrown away, never delivered.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "mailer/delivery/delivery_agent.h"
#include "mailer/io/channel.h"
#include "mailer/lmtp/lmtp_server.h"
#include "mailer/message/body.h"
#include "mailer/settings/settings.h"

namespace lmtpq::mailer {

// What the settings say of a session's limits; nothing is offered beyond the usual.
ServerLimits server_limits(const Settings& settings);

class Session {
 public:
  // `stopping` is asked between messages: true ends the session as soon as it is idle.
  Session(Channel& client, const Settings& settings, ServerLimits limits, DeliveryAgent& carrier,
          const Log& log, std::function<bool()> stopping);

  // Returns when the client said QUIT, went away, or had to be given up; or, idle, was left since
  // we are told to stop.
  enum class End { kByClient, kToldToStop };
  End run();
  // 421, over a connection that our end leaves open; on stdio the process's end says it.
  void say_goodbye();

 private:
  bool next_input();
  bool read_input();
  bool flush();
  bool idle() const;
  bool deliver();
  void look_at_client();
  void reply_lost(const TraceId& trace, const std::string& words);
  void ended(const std::string& reason);

  Channel& client_;
  const Settings& settings_;
  DeliveryAgent& carrier_;
  const Log& log_;
  std::function<bool()> stopping_;
  LmtpServer server_;
  std::string input_;            // being consumed
  std::string pending_;          // came in while we wrote
  std::string_view piece_;       // of input_, what the server has now
  std::string_view rest_;        // of input_, behind that
  bool client_ended_ = false;    // its own side, seen while we wrote
  std::optional<TraceId> told_;  // the outcomes of this one are out, and nothing was heard since
  std::optional<MailData> data_;
  Clock::time_point begun_;
  Clock::time_point answered_;  // our latest reply
  End end_ = End::kByClient;
  std::uint64_t read_ = 0;  // bytes of the current message
};

}  // namespace lmtpq::mailer

// The client of an LmtpSession while one of its messages is delivered: gets the replies that are
// decided, without the session having to wait for the others, and can be asked whether it has gone.
//
// decided(), pass_on() and gone() may be called by several threads at once, as FanOut does, while
// the session does not use its channel; the rest is for the session, before or after the delivery.
// Nothing here waits: what a client does not take at once is left for the session.
#pragma once

#include <functional>
#include <mutex>
#include <string_view>

#include "mailer/delivery/delivery_agent.h"
#include "mailer/delivery/final_replies.h"
#include "mailer/io/channel.h"

namespace lmtpq::mailer {

class SessionClient : public MessageClient {
 public:
  // `has_command`: the session has read another complete command, QUIT for example, so that a
  // client that ended its side is one that waits for the replies. `stopping` as in LmtpSession.
  SessionClient(Channel& channel, std::size_t recipients, bool has_command,
                const std::function<bool()>& stopping)
      : channel_(channel),
        has_command_(has_command),
        stopping_(stopping),
        recipients_(recipients),
        replies_(recipients) {}

  void decided(std::size_t recipient, const Outcome& outcome, const TraceId& trace) override;
  void pass_on() noexcept override;
  bool gone() override;

  // After the delivery: the replies that were not passed on one by one are decided too.
  void finish(const DeliveryResult& result);
  std::string_view due() const { return replies_.due(); }
  void written(std::size_t bytes);
  // How many replies, those of the first recipients, the client has, as far as is known: they were
  // written before it ended its side, or it has taken them since.
  std::size_t answered() const { return answered_; }
  // How many of these it has certainly read: it has closed, and left none unread.
  std::size_t read() const { return read_; }

 private:
  void look();

  Channel& channel_;
  const bool has_command_;
  const std::function<bool()>& stopping_;
  const std::size_t recipients_;
  std::mutex mutex_;
  FinalReplies replies_;
  std::size_t answered_ = 0;
  std::size_t read_ = 0;
  bool finished_ = false;  // the client has ended its side
  bool gone_ = false;      // it reads nothing any more, as far as can be known
};

}  // namespace lmtpq::mailer

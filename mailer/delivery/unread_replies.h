// The messages of a session whose final replies the client may not have read, although a store has
// them, or may have. If the client is lost, it will send them again, and the log says so.
//
// What was written, or acknowledged over TCP, need not have been read: only a client of a unix
// socket or a pipe shows that. So all recipients of a message are named unless it is certain that
// the client has read their replies. Used by the session's thread; all references outlive it.
#pragma once

#include <string>
#include <vector>

#include "common/log/log.h"
#include "mailer/delivery/delivery_agent.h"
#include "mailer/delivery/session_client.h"
#include "mailer/lmtp/envelope.h"

namespace lmtpq::mailer {

// For the log. Empty in relay, whose client is the Sendmail that started it.
struct ClientNames {
  std::string client;    // address, or uid:N
  std::string listener;  // address

  void add_to(Record& record) const;
};

class UnreadReplies {
 public:
  UnreadReplies(DeliveryAgent& agent, const Log& log, const ClientNames& names)
      : agent_(agent), log_(log), names_(names) {}

  // After the replies were written, as far as they could be.
  void add(const Envelope& envelope, const DeliveryResult& result, const SessionClient& client);
  bool empty() const { return messages_.empty(); }
  // The client has read them, as far as can be known.
  void clear() { messages_.clear(); }
  // It has not, and will not: a line for each message. kUnread: it is still there.
  enum class Client { kGone, kUnread };
  void lost(Client client);
  void lost(const std::string& failure);  // of the connection

 private:
  struct Message {
    TraceId trace;
    TraceId queue_id;
    std::size_t recipients = 0;
    std::size_t answered = 0;  // see SessionClient
    std::string filed;         // those recipients that a store has, as the log shows them
  };
  void report(const Message& message, const std::string& reason) const;

  DeliveryAgent& agent_;
  const Log& log_;
  const ClientNames& names_;
  std::vector<Message> messages_;  // more than one only if the client does not wait for replies
};

}  // namespace lmtpq::mailer

// The dialogue with one client: commands in, replies out, as Cyrus lmtpd 3.13 speaks.
//
// The state of a connection (ids) and of a transaction (sender, recipients), and one function for
// each verb. main() makes one for each client, on a separate thread. When the client disconnects,
// run() ends; everything else is a reply.
//
// RFC 2033, and Cyrus imap/lmtpengine.c (lmtpmode) for every reply and for each deviation from the
// RFC:
// - MAIL sets the sender before it checks the parameters: after a refused parameter or SIZE the
//   sender stays, RCPT and DATA are accepted, and MAIL is nested;
// - a message that proves too large gets one 552 and the transaction stays open;
// - the trace id is cleared by RSET and by a new connection, and by nothing else;
// - a command line is read in pieces of 4,095 bytes, each a command.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connection.h"
#include "duplicates.h"
#include "intake.h"
#include "log.h"
#include "mailboxes.h"
#include "options.h"

namespace store {

// What all sessions share.
struct House {
  const Options& options;
  const Mailboxes& mailboxes;
  Duplicates& duplicates;
  const Log& log;
};

class Session {
 public:
  Session(const House& house, Connection& client, std::string peer);
  void run();

 private:
  struct Recipient {
    std::string user;
    bool ignores_quota;
  };
  struct Transaction {
    std::string sender;  // in brackets; empty: no MAIL yet
    std::vector<Recipient> recipients;
  };
  struct Verb {
    std::string_view word;  // with a space at its end where an argument follows
    void (Session::*answer)(std::string_view argument);
  };
  static const Verb kVerbs[];

  std::optional<std::string> next_command();
  void dispatch(const std::string& line);
  void lhlo(std::string_view argument);
  void mail(std::string_view argument);
  void rcpt(std::string_view argument);
  void data(std::string_view argument);
  void rset(std::string_view argument);
  void noop(std::string_view argument);
  void vrfy(std::string_view argument);
  void trace(std::string_view argument);
  void auth(std::string_view argument);
  void quit(std::string_view argument);

  bool refuse_pipelining();
  bool refuse_over_quota(const Recipient& recipient);
  void refuse_unknown(std::string_view recipient);
  void refuse_message(std::string_view reason, std::string_view text);
  void file_for(const Recipient& recipient, const Intake& intake, const Spool& message);
  void answer_filed(const Recipient& recipient, Filed filed, const Event& delivered);
  std::string return_path() const;

  void reply(std::string_view line);
  std::string session_id_text() const { return "SESSIONID=<" + session_id_ + ">"; }
  Event event(std::string_view name) const;
  void log(const Event& event) const { house_.log.write(event); }

  const House& house_;
  Connection& client_;
  std::string peer_;
  std::string session_id_;
  std::string trace_id_;  // empty: none
  Transaction transaction_;
  bool over_ = false;
};

}  // namespace store

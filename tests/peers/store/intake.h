// Taking a message in after the 354, with every leniency of Cyrus.
//
// What it is: one function that reads up to the end of data and writes the message to a spool.
// What it does not know: recipients, replies, limits.
// Called by: Session, after it wrote the 354.
// Threads and lifetimes: runs in the client's thread; keeps nothing.
// Failure: the Intake says what was wrong; the input is then read to the end of data all the same.
// Source: Cyrus imap/spool.c (parseheader, spool_copy_msg). Where RFC 5321 4.1.1.4 wants CRLF.CRLF:
//   - LF ends a line as well as CRLF does, so LF . LF ends the message;
//   - a CR without LF ends a header line, and is deleted from the body before the line is looked
//     at for its dot, so CRLF CR . CRLF ends the message;
//   - lines of the body are read in pieces of 8,189 bytes and each piece is looked at for its dot;
//   - a dot at the start of a header line is kept, though it was doubled;
//   - Return-Path fields are dropped.
#pragma once

#include <string>

#include "connection.h"
#include "spool.h"

namespace store {

struct Intake {
  bool ended = false;  // the end of data came; false: the input ended before it
  bool has_nul = false;
  bool bad_header = false;
  bool has_message_id = false;
  std::string message_id;  // as written, with its brackets
  std::string date;
};

Intake take_message(Connection& client, Spool& spool);

}  // namespace store

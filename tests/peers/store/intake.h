// Reads a message after the 354 up to the end of data into a Spool, as leniently as Cyrus does.
//
// Runs in the client's thread and keeps nothing. The Intake says what was wrong with the message;
// the input is read to the end of data anyway.
//
// Cyrus imap/spool.c (parseheader, spool_copy_msg). Where RFC 5321 section 4.1.1.4 requires
// CRLF.CRLF:
// - LF ends a line as CRLF does, so LF . LF ends the message;
// - a CR without LF ends a header line, and is deleted from the body before the line is examined
//   for a dot, so CRLF CR . CRLF ends the message;
// - lines of the body are read in pieces of 8,189 bytes and each piece is examined for a dot;
// - a dot at the start of a header line is kept, though it was doubled;
// - Return-Path fields are dropped.
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

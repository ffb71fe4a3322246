// A dialogue, read from a file: what each peer sends and expects, in the peer's own order.
//
// The grammar below is read into plain data. Verbs that mean several lines are expanded here
// (verbs.h), so that the players know single steps only. ScriptError has file and line.
//
// One line, one step; `#` at the start of a line is a comment, the first one is the script's name.
//
//   options: --data-done-timeout=300ms    more arguments for lmtpq; $DIR is a scratch folder
//   wrong: PATTERN                        this script must fail, for this reason (--self-test)
//   command: deliver -f a@example.org u1@example.org     instead of `relay`
//   stderr: mta                           standard error is the MTA's pipe, as with Sendmail
//   transport: inet | player: binary | player: memory | file NAME: text
//   exit: 0 | log: PATTERN | log-not: PATTERN | log 3x: PATTERN | out: PATTERN | err: PATTERN
//
//   PEER is mta, stdin, store, store2, store3 ...; stores are numbered in the order of the DESTs.
//
//   PEER> text          sends text and CRLF       PEER>> text    sends text alone
//   PEER< PATTERN       must come now, with CRLF
//   PEER 30x> text {n}  thirty times, {n} counts from 1 (also with >> and <)
//
//   {998*x}             in any text: that many of that byte
//
//   store: accepts      the next connection begins here     store: refuses   none is taken
//   store: is not called
//   PEER: closes | half-closes (sends no more, still reads) | aborts (a reset)
//   PEER: stalls        sends nothing and reads on, forever
//   PEER: deaf          reads nothing from now on
//   PEER: dribbles      sends one byte at a time from now on
//   PEER: marks NAME | awaits NAME      order between peers
//   PEER: sees end      lmtpq must close now
//   PEER: waits 50 ms | receives nothing   nothing more has come by now
//   mta: terminates     lmtpq gets SIGTERM
//
//   mta: opens                        greeting, LHLO and its answer
//   mta: sends A to B, C              MAIL, RCPT, DATA with their 250s and 354; `30 recipients`
//   mta: writes message [id X] [of N bytes]    a message with queue id X, and its dot
//   mta: quits                        QUIT, 221, and lmtpq closes
//   store: opens [WORD, WORD...]      greeting, LHLO, answer with these capabilities
//   store: takes A to B, C [with IGNOREQUOTA]  the same as `sends`, from the other side
//   store: reads message [of N bytes] up to the dot; with a size it must be that very message
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dialogues {

struct ScriptError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Step {
  enum class Kind {
    kSend,
    kExpect,
    kExpectReply,    // lines `250-...` up to `250 ...`
    kExpectMessage,  // up to the dot; `size` 0: any
    kClose,
    kHalfClose,
    kAbort,
    kStall,
    kDeaf,
    kDribble,
    kMark,
    kAwait,
    kSeeEnd,
    kReceiveNothing,
    kWait,  // `size` milliseconds
    kTerminate,
  };
  Kind kind;
  std::string text;
  int line = 0;
  std::size_t size = 0;
};

using Steps = std::vector<Step>;

struct LogCheck {
  std::string pattern;
  std::optional<int> times;  // nothing: at least once
};

struct Script {
  std::string name;
  std::string file;
  std::string command = "relay";
  std::vector<std::string> arguments;  // of the command line, before the options
  std::vector<std::string> options;
  std::vector<std::pair<std::string, std::string>> files;
  bool inet = false;
  bool joined_stderr = false;
  bool in_memory = true;
  bool in_binary = true;
  Steps client;                            // the MTA's, or standard input
  std::vector<std::vector<Steps>> stores;  // per DEST its connections
  std::vector<bool> refuses;               // per DEST: after the last connection others are refused
  int exit = 0;
  std::vector<LogCheck> log;
  std::vector<std::string> out;
  std::vector<std::string> err;
  std::string wrong;  // the reason, if the script must fail
};

Script read_script(const std::string& path);
Script parse_script(std::string_view text, const std::string& file);

// The message that `writes message` and `reads message` mean, without dots and without the end.
std::string standard_message(std::string_view id, std::size_t size);

}  // namespace dialogues

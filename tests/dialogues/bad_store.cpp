#include "tests/dialogues/bad_store.h"

#include "tests/dialogues/pattern.h"

namespace dialogues {
namespace {

std::vector<std::string> recipients(const Trial& trial) {
  const std::string letter = trial.reused ? "v" : "u";
  return {"<" + letter + "1@example.org>", "<" + letter + "2@example.org>"};
}

class BadStore : public Peer {
 public:
  // `armed`: this connection has the trial's fault.
  BadStore(std::string name, Stage& stage, const Trial& trial, Ledger& ledger, bool armed)
      : Peer(std::move(name), stage), trial_(trial), ledger_(ledger), armed_(armed) {
    answer(Point::kGreeting, "220 store.example LMTP");
  }

  bool advance() override {
    bool any = false;
    std::string line;
    while (!stage_.failed() && !mute_ && take_line(line)) {
      any = true;
      if (in_data_) {
        data(line);
      } else {
        command(line);
      }
    }
    return any;
  }

  void finish() override {}
  Waiting waiting() const override { return mute_ ? Waiting::kForEver : Waiting::kNot; }

 private:
  void command(const std::string& line) {
    if (line.starts_with("LHLO ")) {
      answer(Point::kLhlo, std::string("250-store.example\r\n") +
                               (trial_.pipelining ? "250-PIPELINING\r\n" : "") +
                               "250-CHUNKING\r\n250 TRACE");
    } else if (line == "RSET") {
      answer(Point::kRset, "250 2.0.0 ok");
    } else if (line.starts_with("TRACE ")) {
      answer(Point::kTrace, "250 2.0.0 ok");
    } else if (line.starts_with("MAIL ")) {
      // The fault of a used connection is in its second transaction.
      ++transactions_;
      accepted_.clear();
      mail_good_ = answer(Point::kMail, "250 2.1.0 ok");
    } else if (line.starts_with("RCPT ")) {
      rcpt(line.substr(line.find('<')));
    } else if (line == "DATA") {
      data_begins();
    } else if (line == "QUIT") {
      answer_well("221 2.0.0 bye");
      ending_ = Ending::kClosed;
    } else {
      stage_.fail(name_ + ": what is this? " + shown(line));
    }
  }

  void rcpt(const std::string& recipient) {
    const Point point = ++rcpts_ % 2 == 1 ? Point::kRcpt1 : Point::kRcpt2;
    if (answer(point, "250 2.1.5 ok", recipient)) {
      accepted_.push_back(recipient);
    }
  }

  // As with Cyrus, RCPT and DATA succeed although MAIL was refused.
  void data_begins() {
    if (!answer(Point::kData, "354 go ahead")) {
      return;
    }
    in_data_ = true;
    unearned_ = !mail_good_ || accepted_.empty();
    if (hits(Point::kBody)) {
      strike("");
    }
  }

  void data(const std::string& line) {
    if (line != ".") {
      return;
    }
    in_data_ = false;
    if (unearned_) {
      stage_.fail(name_ + ": a dot after a 354, although no recipient was accepted");
    }
    file();
  }

  void file() {
    int number = 0;
    for (const std::string& recipient : accepted_) {
      ++ledger_[recipient].kept;
      answer(++number == 1 ? Point::kFinal1 : Point::kFinal2, "250 2.1.5 filed", recipient);
    }
  }

  bool hits(Point point) const {
    const int transaction =
        point == Point::kRset || point == Point::kTrace ? transactions_ + 1 : transactions_;
    const bool in_transaction = point != Point::kGreeting && point != Point::kLhlo;
    return armed_ && point == trial_.point &&
           (!in_transaction || transaction == (trial_.reused ? 2 : 1));
  }

  // True: the reply was positive.
  bool answer(Point point, const std::string& good, const std::string& recipient = "") {
    if (mute_) {
      return false;
    }
    const bool final = point == Point::kFinal1 || point == Point::kFinal2;
    if (hits(point) && trial_.fault != Fault::kExtra) {
      return strike(recipient, final);
    }
    if (hits(point)) {
      strike(recipient);
    }
    answer_well(good);
    ledger_[recipient].told |= final && !spoke_nonsense_;
    return true;
  }

  void answer_well(const std::string& line) {
    if (!mute_) {
      outbox_ += line + "\r\n";
    }
  }

  bool strike(const std::string& recipient, bool final = false) {
    armed_ = false;
    switch (trial_.fault) {
      case Fault::kClose:
      case Fault::kAbort:
        ending_ = trial_.fault == Fault::kClose ? Ending::kClosed : Ending::kAborted;
        mute_ = true;
        return false;
      case Fault::kStall:
        mute_ = true;
        return false;
      case Fault::k421:
        answer_well("421 4.3.2 going down");
        ending_ = Ending::kClosed;
        mute_ = true;
        return false;
      case Fault::k503:
        answer_well("503 5.5.1 LHLO first");
        // On a used connection MAIL is refused because of the session, and must cost no message.
        if (trial_.point != Point::kMail || !trial_.reused) {
          refuse(recipient);
        }
        ledger_[recipient].kept -= final ? 1 : 0;
        return false;
      case Fault::k554:
        answer_well("554 5.3.0 no");
        refuse(recipient);
        ledger_[recipient].kept -= final ? 1 : 0;
        return false;
      case Fault::kGarbage:
        spoke_nonsense_ = true;
        answer_well("hello there");
        return false;
      case Fault::kHugeLine:
        answer_well("250 " + std::string(1u << 20, 'x'));
        ledger_[recipient].told |= final;
        return trial_.point != Point::kData;
      case Fault::kNuls:
        spoke_nonsense_ = true;
        answer_well(std::string("\0\0\0", 3));
        return false;
      case Fault::kExtra:
        answer_well("250 2.0.0 one too many");
        return true;
      case Fault::kLie:
        answer_well("250 2.1.5 filed");
        ledger_[recipient].kept -= final ? 1 : 0;
        return true;
    }
    return false;
  }

  // The recipients that a 554 at this point refuses: none at the greeting, LHLO, RSET, TRACE.
  void refuse(const std::string& recipient) {
    if (!recipient.empty()) {
      ledger_[recipient].refused = true;
    } else if (trial_.point >= Point::kMail) {
      for (const std::string& all : recipients(trial_)) {
        ledger_[all].refused = true;
      }
    }
  }

  const Trial& trial_;
  Ledger& ledger_;
  bool armed_;
  bool mute_ = false;
  bool spoke_nonsense_ = false;  // later replies belong to no known command
  bool in_data_ = false;
  bool mail_good_ = false;
  bool unearned_ = false;
  int transactions_ = 0;
  int rcpts_ = 0;
  std::vector<std::string> accepted_;
};

}  // namespace

std::string Trial::name() const {
  return std::string("whatever the store does: ") + kFaultNames[static_cast<int>(fault)] + " at " +
         kPointNames[static_cast<int>(point)] + (pipelining ? ", pipelining" : ", one at a time") +
         (reused ? ", used connection" : ", fresh connection");
}

Script Trial::script() const {
  const std::string first =
      "mta: sends a@example.org to w1@example.org, w2@example.org\n"
      "mta: writes message id W1\n"
      "mta 2x< 250 2.1.5 *\n";
  std::string to;
  for (const std::string& path : recipients(*this)) {
    to += (to.empty() ? "" : ", ") + path.substr(1, path.size() - 2);
  }
  std::string options;
  for (const char* name : {"lhlo", "mail", "rcpt", "data-init", "data-xfer", "data-done", "rset"}) {
    options +=
        std::string(" --") + name + (fault == Fault::kStall ? "-timeout=200ms" : "-timeout=10s");
  }
  const std::string transport = fault == Fault::kAbort ? "\ntransport: inet" : "";
  return parse_script("# " + name() + transport + "\noptions:" + options + "\nmta: opens\n" +
                          (reused ? first : "") + "mta: sends a@example.org to " + to +
                          "\nmta: writes message\nmta " + std::to_string(recipients(*this).size()) +
                          "x< *\nmta: quits\n",
                      "(the matrix)");
}

namespace {

// On a fresh and on a used connection, where the point exists there.
void add_trials(Trial trial, std::vector<Trial>& to) {
  if (trial.point != Point::kRset) {
    to.push_back(trial);
  }
  if (trial.point >= Point::kRset) {
    trial.reused = true;
    to.push_back(trial);
  }
}

}  // namespace

std::vector<Trial> all_trials() {
  std::vector<Trial> made;
  for (int point = 0; point <= static_cast<int>(Point::kFinal2); ++point) {
    for (int fault = 0; fault < static_cast<int>(Fault::kLie); ++fault) {
      for (const bool pipelining : {false, true}) {
        add_trials({Point(point), Fault(fault), pipelining, false}, made);
      }
    }
  }
  return made;
}

std::unique_ptr<Peer> BadCast::accept(std::size_t destination, Stage& stage) {
  const bool armed = destination == 0 && !faulty_gone_;
  faulty_gone_ = faulty_gone_ || armed;
  return std::make_unique<BadStore>(armed ? "the bad store" : "the good store", stage, trial_,
                                    ledger_, armed);
}

std::string BadCast::judge(const Played& played) const {
  if (!played.failure.empty() || played.heard.size() < 3) {
    return "the MTA's dialogue: " + played.failure;
  }
  const bool owned_up = played.log.find("possible duplicate") != std::string::npos;
  // Whether end of data was sent when the fault came is a race that only lmtpq sees.
  const bool unclear = trial_.point == Point::kBody;
  bool duplicate_possible = false;
  std::size_t at = played.heard.size() - 1 - recipients(trial_).size();
  for (const std::string& recipient : recipients(trial_)) {
    const auto found = ledger_.find(recipient);
    const Fortune fortune = found == ledger_.end() ? Fortune() : found->second;
    const std::string& reply = played.heard[at++];
    const std::string at_fault = recipient + " was answered " + shown(reply) + ", ";
    const char klass = reply[0];
    if (klass == '2' && (!fortune.told || fortune.kept < 1)) {
      return at_fault + "no store said so";
    }
    if (klass == '5' && !fortune.refused) {
      return at_fault + "no store refused it";
    }
    if (klass != '2' && fortune.told) {
      return at_fault + "the store had said 250";
    }
    if (fortune.kept > 1) {
      return at_fault + "it was filed twice";
    }
    if (klass != '2' && !fortune.refused && trial_.point < Point::kBody) {
      return at_fault + "though nothing was sent there and another connection was good";
    }
    duplicate_possible = duplicate_possible || (klass != '2' && fortune.kept == 1);
  }
  if (owned_up != duplicate_possible && !unclear) {
    return std::string("\"possible duplicate\" is ") + (owned_up ? "" : "not ") + "in the log";
  }
  return {};
}

}  // namespace dialogues

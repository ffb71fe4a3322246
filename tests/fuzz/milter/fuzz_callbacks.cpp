// An MTA that calls the milter's callbacks as the input says, in any order, on several connections,
// with libmilter's functions replaced by fakes: tags from outside are deleted from the last to the
// first, or the message is not let through as if they were; a tag is written at most once, after
// them, and is valid for this message alone; a message is deferred only where the configuration
// says so; and each end of a message is one decision in the log, or one that could not be made.
//
// The first byte chooses the failure action. Lines:
//   @ N     the next lines are about connection N of three, 0 at first
//   N N     negotiates, and the MTA takes the actions N     C TEXT  a client of this address
//   M TEXT  the sender   R TEXT  a recipient (`-`: no list of words, `=`: an empty one)
//   H N:V   a field; without a colon it has no value        B N N:V the same, its value N times
//   S N V   sets a macro                                    U N     unsets it
//   E       the end of the message    A  its abort          X       the end of the connection
//   F N     after N edits the MTA takes no more             P       it keeps no state, or does
//   again

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ascii.h"
#include "common/header.h"
#include "common/tag/key_file.h"
#include "milter/libmilter_callbacks.h"
#include "milter/policy/rule_parser.h"
#include "tests/fuzz/script.h"

using lmtpq::fuzz::check;

// libmilter's context of a connection.
struct smfi_str {
  void* state = nullptr;
  bool keeps_state = true;
  std::map<std::string, std::string> macros;
  std::vector<std::string> edits;  // "delete N", or the value of a field that was inserted
  std::size_t takes = ~std::size_t{0};
  std::size_t taken = 0;  // of these edits
};

namespace {

using namespace lmtpq;
using namespace lmtpq::milter;

smfiDesc g_milter;

ConfigurationPtr configuration(FailureAction failure) {
  OptionReader options({}, {{"rule.", rule_keys()}});
  options.take_text(
      "[rule.a]\nheader X-A = *a*\nquota = honour\n[rule.b]\nfrom = *@a.example\nrcpt = "
      "*@b.example\n"
      "limit = 5/second\nquota = ignore\nover-quota = defer:1h\n"
      "[rule.c]\nclient = 192.0.2.0/24\nauth = u*\nquota = ignore\n",
      "fuzz");
  Configuration made;
  made.policy = Policy(parse_rules(options.free_sections()), {"cyrusv2"});
  made.trace = TraceOrigin({"X-Trace", "traceparent"}, {{*Network::parse("192.0.2.1")}, true});
  made.keys = parse_keys("k AAAAAAAAAAAAAAAAAAAAAA==\n", "fuzz");
  made.tag_lifetime = std::chrono::hours(1);
  made.failure = failure;
  return std::make_shared<const Configuration>(std::move(made));
}

// What the milter must know of the message at hand.
struct Model {
  int tags = 0;
  std::optional<std::string> message_id;
  std::string queue_id;
  bool id_changed = false;
};

class Mta {
 public:
  Mta(std::string_view input, const Configuration& configuration, fuzz::RecordingLog& log)
      : script_(input), configuration_(configuration), log_(log) {}

  void run() {
    while (!script_.over()) {
      const char letter = script_.letter();
      call(letter, std::string(script_.take()));
      log_.take();
    }
    for (smfi_str& context : contexts_) {
      current_ = &context;
      end_connection();
    }
  }
  std::size_t ended() const { return ended_; }  // messages, where there was state

 private:
  Model& model() { return models_[static_cast<std::size_t>(current_ - contexts_.data())]; }

  void call(char letter, std::string text) {
    std::string_view rest = text;
    switch (letter) {
      case '@':
        current_ = &contexts_[fuzz::take_number(rest, 0) % contexts_.size()];
        break;
      case 'P':
        current_->keeps_state = !current_->keeps_state;
        break;
      case 'F':
        current_->takes = fuzz::take_number(rest, 0);
        break;
      case 'S':
        current_->macros[text.substr(0, text.find(' '))] =
            text.substr(std::min(text.find(' '), text.size() - 1) + 1).c_str();
        break;
      case 'U':
        current_->macros.erase(text);
        break;
      case 'N':
        negotiate(fuzz::take_number(rest, 0));
        break;
      case 'C':
        connect(text);
        break;
      case 'M':
        begin(text);
        break;
      case 'R':
        check(g_milter.xxfi_envrcpt(current_, words(text)) == SMFIS_NOREPLY);
        break;
      case 'H':
        field(text);
        break;
      case 'B':
        field_repeated(fuzz::take_number(rest, 1), std::string(rest));
        break;
      case 'E':
        end_message();
        break;
      case 'A':
        check(g_milter.xxfi_abort(current_) == SMFIS_CONTINUE);
        model() = Model();
        break;
      case 'X':
        end_connection();
        break;
    }
  }

  void negotiate(unsigned long actions) {
    unsigned long asked[4] = {};
    check(g_milter.xxfi_negotiate(current_, actions, ~0ul, 0, 0, &asked[0], &asked[1], &asked[2],
                                  &asked[3]) == SMFIS_CONTINUE);
    check((asked[0] & ~actions) == 0 && asked[2] == 0 && asked[3] == 0);
  }

  void connect(const std::string& text) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    const bool known = inet_pton(AF_INET, text.c_str(), &address.sin_addr) == 1;
    check(g_milter.xxfi_connect(current_, nullptr,
                                known ? reinterpret_cast<sockaddr*>(&address) : nullptr) ==
          SMFIS_NOREPLY);
    if (current_->state != nullptr) {
      model() = Model();
    }
  }

  char** words(std::string& text) {
    words_ = {text == "=" ? nullptr : text.data(), nullptr};
    return text == "-" ? nullptr : words_.data();
  }

  void begin(std::string& text) {
    const std::string id = current_->macros["i"].c_str();  // it may have been cleared
    check(g_milter.xxfi_envfrom(current_, words(text)) == SMFIS_NOREPLY);
    if (current_->state != nullptr) {
      model() = Model();
      model().queue_id = id;
    }
  }

  void field(std::string text) {
    const std::size_t colon = text.find(':');
    std::string value = colon == std::string::npos ? "" : text.substr(colon + 1).c_str();
    std::string name = text.substr(0, colon).c_str();
    check(g_milter.xxfi_header(current_, name.data(),
                               colon == std::string::npos ? nullptr : value.data()) ==
          SMFIS_NOREPLY);
    if (current_->state == nullptr) {
      return;
    }
    name.erase(name.find_last_not_of(" \t\r\n") + 1);
    model().tags += same_word(name, kTagName) ? 1 : 0;
    if (same_word(name, "Message-ID") && !model().message_id) {
      model().message_id = unfold(value);
    }
  }

  void field_repeated(std::size_t times, const std::string& text) {
    constexpr std::size_t kMost = 20'000;
    const std::size_t colon = std::min(text.find(':'), text.size());
    const std::string value = text.substr(colon);
    std::string all = text.substr(0, colon);
    while (times-- > 0 && !value.empty() && all.size() + value.size() < kMost) {
      all += value;
    }
    field(all);
  }

  void end_message() {
    const std::string id = current_->macros["i"].c_str();  // it may have been cleared
    if (!id.empty()) {
      model().id_changed = !model().queue_id.empty() && model().queue_id != id;
      model().queue_id = id;
    }
    current_->edits.clear();
    current_->taken = 0;
    const sfsistat verdict = g_milter.xxfi_eom(current_);
    check(verdict == SMFIS_CONTINUE || verdict == SMFIS_TEMPFAIL);
    check(verdict == SMFIS_CONTINUE || configuration_.failure == FailureAction::kTempfail);
    if (current_->state != nullptr) {
      check_edits(verdict);
      ++ended_;
    } else {
      check(current_->edits.empty());
    }
    model() = Model();
  }

  void check_edits(sfsistat verdict) {
    const std::vector<std::string>& edits = current_->edits;
    std::size_t at = 0;
    std::size_t inserts = 0;
    for (int pass = 0; pass < 2 && at < edits.size(); ++pass) {
      for (int tag = model().tags; tag > 0; --tag) {
        check(at < edits.size() && edits[at++] == "delete " + std::to_string(tag));
      }
      if (at < edits.size() && !edits[at].starts_with("delete ")) {
        check(++inserts == 1 && current_->taken >= static_cast<std::size_t>(model().tags));
        check_tag(edits[at++]);
      }
    }
    check(at == edits.size());
    const bool clean = current_->taken >= static_cast<std::size_t>(model().tags);
    check(clean || verdict == SMFIS_TEMPFAIL || configuration_.failure == FailureAction::kAccept);
    check(edits.size() > 0 || model().tags == 0);
  }

  void check_tag(const std::string& value) {
    check(!model().id_changed && !model().queue_id.empty());
    check(std::all_of(value.begin(), value.end(),
                      [](char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\t'; }));
    const auto verified = [&](const std::string& message_id, const std::string& queue_id) {
      return std::holds_alternative<Tag>(
          Tag::verify(value, configuration_.keys, {message_id, queue_id}, time(nullptr)));
    };
    const std::string message_id = model().message_id.value_or("");
    check(verified(message_id, model().queue_id));
    check(!verified(message_id, model().queue_id + "x"));
    check(message_id.empty() || !verified("x" + message_id, model().queue_id));
  }

  void end_connection() {
    check(g_milter.xxfi_close(current_) == SMFIS_CONTINUE && current_->state == nullptr);
    model() = Model();
  }

  fuzz::Script script_;
  const Configuration& configuration_;
  fuzz::RecordingLog& log_;
  std::array<smfi_str, 3> contexts_;
  std::array<Model, 3> models_;
  smfi_str* current_ = contexts_.data();
  std::vector<char*> words_;
  std::size_t ended_ = 0;
};

Mta* g_mta = nullptr;

}  // namespace

extern "C" {

int smfi_register(smfiDesc milter) {
  g_milter = milter;
  return MI_SUCCESS;
}
int smfi_setconn(char*) { return MI_SUCCESS; }
int smfi_opensocket(bool) { return MI_SUCCESS; }
int smfi_version(unsigned*, unsigned*, unsigned*) { return MI_SUCCESS; }
int smfi_main() {
  g_mta->run();
  return MI_SUCCESS;
}

void* smfi_getpriv(SMFICTX* context) { return context->state; }
int smfi_setpriv(SMFICTX* context, void* state) {
  if (!context->keeps_state && state != nullptr) {
    return MI_FAILURE;
  }
  context->state = state;
  return MI_SUCCESS;
}
char* smfi_getsymval(SMFICTX* context, char* name) {
  const auto found = context->macros.find(name);
  return found == context->macros.end() ? nullptr : found->second.data();
}
int smfi_setsymlist(SMFICTX*, int, char*) { return MI_SUCCESS; }

static int take_edit(SMFICTX* context, const std::string& edit) {
  context->edits.push_back(edit);
  if (context->takes == 0) {
    return MI_FAILURE;
  }
  --context->takes;
  ++context->taken;
  return MI_SUCCESS;
}
int smfi_chgheader(SMFICTX* context, char* name, int index, char* value) {
  check(name == lmtpq::kTagName && value == nullptr);
  return take_edit(context, "delete " + std::to_string(index));
}
int smfi_insheader(SMFICTX* context, int index, char* name, char* value) {
  check(index == 0 && name == lmtpq::kTagName);
  return take_edit(context, value);
}

}  // extern "C"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const bool accepts = !input.starts_with('t');
  input.remove_prefix(std::min<std::size_t>(1, input.size()));
  static const ConfigurationPtr configurations[] = {configuration(FailureAction::kTempfail),
                                                    configuration(FailureAction::kAccept)};
  const ConfigurationPtr& chosen = configurations[accepts ? 1 : 0];
  fuzz::RecordingLog log;
  SharedState state(chosen, log.log());
  Mta mta(input, *chosen, log);
  g_mta = &mta;
  open_socket("local:/nowhere");
  check(run_libmilter(state));
  log.text();
  const std::size_t decisions = log.count("decision");
  const std::size_t failures = log.count("not-decided");
  check(decisions <= mta.ended() && decisions + failures >= mta.ended());
  check(failures <= mta.ended());
  return 0;
}

#include "milter/callbacks.h"

#include <libmilter/mfapi.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <ctime>
#include <exception>
#include <memory>
#include <optional>
#include <thread>

#include "common/ascii.h"
#include "common/config/config.h"
#include "milter/message.h"
#include "milter/policy/xtext.h"
#include "milter/socket_name.h"

namespace lmtpq::milter {
namespace {

constexpr unsigned long kActions = SMFIF_ADDHDRS | SMFIF_CHGHDRS;
constexpr unsigned long kNotSent =
    SMFIP_NOHELO | SMFIP_NOBODY | SMFIP_NODATA | SMFIP_NOUNKNOWN | SMFIP_NOEOH;
// Stages in which Sendmail need not wait for us. libmilter offers all of them: to an MTA that does
// not know them it sends the reply itself.
constexpr unsigned long kNoReply = SMFIP_NR_CONN | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_HDR;

// What belongs to one connection of the MTA.
struct Connection {
  std::optional<ClientFacts> client;  // nothing: the MTA did not tell
  std::optional<Message> message;
  bool failed = false;  // something about the message at hand could not be taken in
};

Service* g_service = nullptr;
std::string g_socket_file;       // empty: there is none
std::atomic<int> g_running = 0;  // callbacks

struct Running {
  Running() { ++g_running; }
  ~Running() { --g_running; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
};

Connection* find_connection(SMFICTX* context) {
  return context == nullptr ? nullptr : static_cast<Connection*>(smfi_getpriv(context));
}

// Nothing without a context: there is nobody then to keep it for.
Connection* connection_of(SMFICTX* context) {
  Connection* found = find_connection(context);
  if (found != nullptr || context == nullptr) {
    return found;
  }
  auto made = std::make_unique<Connection>();
  if (smfi_setpriv(context, made.get()) != MI_SUCCESS) {
    return nullptr;
  }
  return made.release();
}

std::string_view text_of(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

std::string_view macro(SMFICTX* context, const char* name) {
  return text_of(smfi_getsymval(context, const_cast<char*>(name)));
}

// Of a macro that comes anew with each message or recipient. Where libmilter has no memory for
// new macros it shows the old ones again: what was read once is emptied, and then reads as unknown.
std::string take_macro(SMFICTX* context, const char* name) {
  char* const text = smfi_getsymval(context, const_cast<char*>(name));
  std::string taken(text_of(text));
  if (text != nullptr) {
    *text = '\0';
  }
  return taken;
}

std::optional<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

// A slash in an attribute comes as `\/`: it must not pass for the beginning of another attribute. A
// subject that fills Sendmail's buffer (MAXNAME) is cut, and its CN may be what is missing:
// unknown.
std::string whole_subject(std::string subject) {
  constexpr std::size_t kCut = 250;
  for (std::size_t at = 0; (at = subject.find("\\/", at)) != std::string::npos; ++at) {
    subject.replace(at, 2, "_");
  }
  return subject.size() < kCut ? subject : "";
}

class MilterEdits : public Edits {
 public:
  explicit MilterEdits(SMFICTX* context) : context_(context) {}

  bool delete_field(const std::string& name, int index) override {
    return smfi_chgheader(context_, const_cast<char*>(name.c_str()), index, nullptr) == MI_SUCCESS;
  }
  bool insert_field(const std::string& name, const std::string& value) override {
    return smfi_insheader(context_, 0, const_cast<char*>(name.c_str()),
                          const_cast<char*>(value.c_str())) == MI_SUCCESS;
  }

 private:
  SMFICTX* context_;
};

void report(const Connection* connection, const char* stage, const char* error) noexcept {
  try {
    Record record;
    record.add("event", "callback-failed").add("stage", stage);
    if (connection != nullptr && connection->message) {
      record.add("qid", connection->message->facts().queue_id);
    }
    g_service->log().error(record.add("error", error));
  } catch (...) {
    // No memory for the line: the message's end has another one.
  }
}

// Around every callback: nothing gets out of it. False: the body did not come to its end, which the
// connection keeps in mind.
template <typename Body>
bool guarded(SMFICTX* context, const char* stage, Body body) noexcept {
  const Running running;
  Connection* connection = nullptr;
  try {
    connection = connection_of(context);
    if (connection == nullptr) {
      return false;
    }
    body(*connection);
    return true;
  } catch (const std::exception& error) {
    report(connection, stage, error.what());
  } catch (...) {
    report(connection, stage, "unknown");
  }
  if (connection != nullptr) {
    connection->failed = true;
  }
  return false;
}

void ask_for_macros(SMFICTX* context) {
  const std::pair<int, const char*> lists[] = {
      {SMFIM_CONNECT, "{client_addr}"},
      {SMFIM_ENVFROM, "i {auth_authen} {verify} {cert_subject} {client_addr}"},
      {SMFIM_ENVRCPT, "{rcpt_mailer} {rcpt_addr}"},
      // Sendmail looks for a list of EOH's to know whether there is one of EOM's (milter_data() in
      // milter.c), which else is not used.
      {SMFIM_EOH, "i"},
      {SMFIM_EOM, "i {msg_size}"}};
  for (const auto& [stage, names] : lists) {
    smfi_setsymlist(context, stage, const_cast<char*>(names));
  }
}

sfsistat on_negotiate(SMFICTX* context, unsigned long offered_actions,
                      unsigned long offered_protocol, unsigned long, unsigned long,
                      unsigned long* actions, unsigned long* protocol, unsigned long* more,
                      unsigned long* still_more) {
  *actions = offered_actions & kActions;
  *protocol = offered_protocol & (kNotSent | kNoReply);
  *more = 0;
  *still_more = 0;
  guarded(context, "negotiate", [&](Connection&) {
    if (*actions != kActions) {
      g_service->log().warning(
          Record()
              .add("event", "negotiation")
              .add("error", "the MTA lets us neither add nor delete all header fields"));
    }
    if ((offered_actions & SMFIF_SETSYMLIST) != 0) {
      *actions |= SMFIF_SETSYMLIST;
      ask_for_macros(context);
    }
  });
  return SMFIS_CONTINUE;
}

sfsistat on_connect(SMFICTX* context, char*, sockaddr* address) {
  guarded(context, "connect", [&](Connection& connection) {
    connection.message.reset();
    connection.client = ClientFacts{Address::of(address)};
  });
  return SMFIS_NOREPLY;
}

// A client of whom we know nothing is not `local`, which rules may trust: it is [::].
ClientFacts client_of(SMFICTX* context, const Connection& connection) {
  if (connection.client) {
    return *connection.client;
  }
  const auto told = Address::parse(macro(context, "{client_addr}"));
  return {told ? *told : Address()};
}

sfsistat on_mail(SMFICTX* context, char** words) {
  guarded(context, "mail", [&](Connection& connection) {
    connection.message.reset();
    connection.failed = false;
    MessageFacts facts;
    facts.queue_id = take_macro(context, "i");
    facts.client = client_of(context, connection);
    facts.auth = from_xtext(take_macro(context, "{auth_authen}"));
    if (take_macro(context, "{verify}") == "OK") {
      facts.tls_subject = whole_subject(from_xtext(take_macro(context, "{cert_subject}")));
    }
    if (words != nullptr) {
      facts.sender = text_of(words[0]);
    }
    connection.message.emplace(g_service->configuration(), std::move(facts));
  });
  return SMFIS_NOREPLY;
}

// The message at hand. Where MAIL was not taken in, one that is failed: its tags are still counted.
Message& message_of(Connection& connection) {
  if (!connection.message) {
    connection.failed = true;
    connection.message.emplace(g_service->configuration(), MessageFacts());
  }
  return *connection.message;
}

sfsistat on_rcpt(SMFICTX* context, char** words) {
  guarded(context, "rcpt", [&](Connection& connection) {
    RecipientFacts recipient;
    if (words != nullptr) {
      recipient.given = text_of(words[0]);
    }
    recipient.resolved = take_macro(context, "{rcpt_addr}");
    recipient.mailer = take_macro(context, "{rcpt_mailer}");
    message_of(connection).take_recipient(std::move(recipient));
  });
  return SMFIS_NOREPLY;
}

sfsistat on_header(SMFICTX* context, char* name, char* value) {
  guarded(context, "header", [&](Connection& connection) {
    message_of(connection).take_field(text_of(name), text_of(value));
  });
  return SMFIS_NOREPLY;
}

// What becomes of a message that was not decided. It keeps no tag from outside, if that can be.
sfsistat on_failure(SMFICTX* context) {
  FailureAction action = g_service->configuration()->failure;
  guarded(context, "failure", [&](Connection& connection) {
    const Message* message = connection.message ? &*connection.message : nullptr;
    if (message != nullptr) {
      action = message->configuration().failure;
    }
    MilterEdits edits(context);
    const bool clean = message != nullptr && message->remove_old_tags(edits);
    g_service->log().error(
        Record()
            .add("event", "not-decided")
            .add("qid", message != nullptr ? message->facts().queue_id : "")
            .add("failure", action == FailureAction::kAccept ? "accept" : "tempfail")
            .add("old_tags", clean ? "removed" : "unknown"));
  });
  return action == FailureAction::kAccept ? SMFIS_CONTINUE : SMFIS_TEMPFAIL;
}

sfsistat on_end_of_message(SMFICTX* context) {
  bool decided = false;
  guarded(context, "eom", [&](Connection& connection) {
    Message& message = message_of(connection);
    const std::string queue_id = take_macro(context, "i");
    const std::string& known = message.facts().queue_id;
    if (!known.empty() && !queue_id.empty() && queue_id != known) {
      connection.failed = true;  // we mistake one message for another
    }
    message.take_queue_id(queue_id);
    message.take_size(parse_count(take_macro(context, "{msg_size}")));
    if (!connection.failed) {
      MilterEdits edits(context);
      decided = message.decide(*g_service, edits, time(nullptr), std::chrono::steady_clock::now());
    }
  });
  const sfsistat verdict = decided ? SMFIS_CONTINUE : on_failure(context);
  if (Connection* connection = find_connection(context)) {
    connection->message.reset();
    connection->failed = false;
  }
  return verdict;
}

sfsistat on_abort(SMFICTX* context) {
  if (Connection* connection = find_connection(context)) {
    connection->message.reset();
    connection->failed = false;
  }
  return SMFIS_CONTINUE;
}

sfsistat on_close(SMFICTX* context) {
  const std::unique_ptr<Connection> connection(find_connection(context));
  if (connection) {
    smfi_setpriv(context, nullptr);
  }
  return SMFIS_CONTINUE;
}

}  // namespace

void open_socket(const std::string& socket) {
  static char name[] = "lmtpq-milter";
  smfiDesc description{};
  description.xxfi_name = name;
  description.xxfi_version = SMFI_VERSION;
  description.xxfi_flags = kActions;
  description.xxfi_connect = on_connect;
  description.xxfi_envfrom = on_mail;
  description.xxfi_envrcpt = on_rcpt;
  description.xxfi_header = on_header;
  description.xxfi_eom = on_end_of_message;
  description.xxfi_abort = on_abort;
  description.xxfi_close = on_close;
  description.xxfi_negotiate = on_negotiate;
  const SocketName parsed = SocketName::parse(socket);
  check_free(parsed);
  // Whoever connects gets tags signed: the file is for its owner, and root, alone.
  const mode_t before = umask(0177);
  const bool open = smfi_register(description) == MI_SUCCESS &&
                    smfi_setconn(const_cast<char*>(parsed.text().c_str())) == MI_SUCCESS &&
                    smfi_opensocket(true) == MI_SUCCESS;
  umask(before);
  g_socket_file = parsed.path;
  if (!open) {
    throw ConfigError("socket " + parsed.text() + ": libmilter cannot listen there; see syslog");
  }
}

void remove_socket() {
  if (!g_socket_file.empty()) {
    unlink(g_socket_file.c_str());
  }
}

bool serve(Service& service) {
  g_service = &service;
  const bool served = smfi_main() == MI_SUCCESS;
  // A message whose end is being decided may still come to its end.
  for (int i = 0; i < 200 && g_running > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  remove_socket();  // as root libmilter leaves it there
  return served;
}

}  // namespace lmtpq::milter

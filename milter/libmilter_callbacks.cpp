#include "milter/libmilter_callbacks.h"

#include <libmilter/mfapi.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "common/config_error.h"
#include "milter/message.h"
#include "milter/mta_macros.h"

namespace lmtpq::milter {
namespace {

constexpr unsigned long kActions = SMFIF_ADDHDRS | SMFIF_CHGHDRS;
constexpr unsigned long kNotSent =
    SMFIP_NOHELO | SMFIP_NOBODY | SMFIP_NODATA | SMFIP_NOUNKNOWN | SMFIP_NOEOH;
// Stages at which Sendmail need not wait for a reply. For MTAs that do not know these flags
// libmilter sends the replies itself.
constexpr unsigned long kNoReply = SMFIP_NR_CONN | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_HDR;

// State of one connection of the MTA.
struct Connection {
  std::optional<ClientFacts> client;  // nothing: the MTA skipped the connect stage
  std::optional<Message> message;
  const char* failure = nullptr;  // why the current message cannot be decided; nullptr: it can
};

SharedState* g_state = nullptr;
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

// nullptr: there is no context to keep it in.
Connection* connection_of(SMFICTX* context) {
  Connection* found = find_connection(context);
  if (found != nullptr || context == nullptr) {
    return found;
  }
  auto made = std::make_unique<Connection>();
  if (smfi_setpriv(context, made.get()) != MI_SUCCESS) {
    return nullptr;
  }
  return made.release();  // on_close() deletes it
}

void forget_message(SMFICTX* context) {
  if (Connection* connection = find_connection(context)) {
    connection->message.reset();
    connection->failure = nullptr;
  }
}

class MilterHeaderEdits : public HeaderEdits {
 public:
  explicit MilterHeaderEdits(SMFICTX* context) : context_(context) {}

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

// Of a message, or of what precedes one, the first failure only: there may be one at each field.
void report(const Connection* connection, const char* stage, const char* error) noexcept {
  if (connection != nullptr && connection->failure != nullptr) {
    return;
  }
  try {
    Record record("callback-failed");
    record.add("stage", stage);
    if (connection != nullptr && connection->message) {
      record.add("qid", connection->message->facts().queue_id);
    }
    g_state->log().error(record.add("error", error));
  } catch (...) {
    // Out of memory for the line: on_failure() logs another one at the message's end.
  }
}

// The first reason stays.
void fail(Connection& connection, const char* reason) {
  if (connection.failure == nullptr) {
    connection.failure = reason;
  }
}

// Runs the body of a callback; no exception gets out. false: the body did not complete, which
// the connection remembers until the message ends.
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
    report(connection, stage, "unknown exception");
  }
  if (connection != nullptr) {
    fail(*connection, "a callback failed, as logged");
  }
  return false;
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
      g_state->log().warning(Record("mta-refuses-edits")
                                 .add("effect", "messages get no tag, or keep tags from outside"),
                             Outsider{});
    }
    if ((offered_actions & SMFIF_SETSYMLIST) != 0) {
      *actions |= SMFIF_SETSYMLIST;
      request_macros(context);
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

sfsistat on_mail(SMFICTX* context, char** words) {
  guarded(context, "mail", [&](Connection& connection) {
    connection.message.reset();
    connection.failure = nullptr;
    MessageFacts facts = mail_facts(context);
    facts.client = connection.client ? *connection.client : client_from_macros(context);
    if (words != nullptr) {
      facts.sender = text_of(words[0]);
    }
    connection.message.emplace(g_state->configuration(), std::move(facts));
  });
  return SMFIS_NOREPLY;
}

// The current message. Where MAIL could not be taken in, one that has failed already: its tags are
// still counted.
Message& message_of(Connection& connection) {
  if (!connection.message) {
    fail(connection, "MAIL was not taken in");
    connection.message.emplace(g_state->configuration(), MessageFacts());
  }
  return *connection.message;
}

sfsistat on_rcpt(SMFICTX* context, char** words) {
  guarded(context, "rcpt", [&](Connection& connection) {
    RecipientFacts recipient = recipient_facts(context);
    if (words != nullptr) {
      recipient.given = text_of(words[0]);
    }
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

// Applies the failure action to a message that was not decided, and removes tags from outside if
// possible.
sfsistat on_failure(SMFICTX* context) {
  FailureAction action = g_state->configuration()->failure;
  guarded(context, "failure", [&](Connection& connection) {
    const Message* message = connection.message ? &*connection.message : nullptr;
    if (message != nullptr) {
      action = message->configuration().failure;
    }
    MilterHeaderEdits edits(context);
    const bool clean = message != nullptr && message->remove_old_tags(edits);
    g_state->log().error(
        Record("not-decided")
            .add("qid", message != nullptr ? message->facts().queue_id : "")
            .add("error", connection.failure != nullptr ? connection.failure : kNoEdits)
            .add("failure", action == FailureAction::kAccept ? "accept" : "tempfail")
            .add("tags-removed", clean ? "yes" : "unknown"));
  });
  return action == FailureAction::kAccept ? SMFIS_CONTINUE : SMFIS_TEMPFAIL;
}

sfsistat on_end_of_message(SMFICTX* context) {
  bool decided = false;
  guarded(context, "eom", [&](Connection& connection) {
    Message& message = message_of(connection);
    const std::string queue_id = take_queue_id(context);
    const std::string& known = message.facts().queue_id;
    if (!known.empty() && !queue_id.empty() && queue_id != known) {
      fail(connection, "the queue id changed during the message");
    }
    message.take_queue_id(queue_id);
    message.take_size(take_size(context));
    if (connection.failure == nullptr) {
      MilterHeaderEdits edits(context);
      decided = message.decide(*g_state, edits, time(nullptr), std::chrono::steady_clock::now());
    }
  });
  const sfsistat verdict = decided ? SMFIS_CONTINUE : on_failure(context);
  forget_message(context);
  return verdict;
}

sfsistat on_abort(SMFICTX* context) {
  forget_message(context);
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

void open_socket(const std::string& name_of_socket) {
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
  if (smfi_register(description) != MI_SUCCESS ||
      smfi_setconn(const_cast<char*>(name_of_socket.c_str())) != MI_SUCCESS ||
      smfi_opensocket(false) != MI_SUCCESS) {
    throw ConfigError("libmilter cannot listen; see syslog");
  }
}

std::string libmilter_version() {
  unsigned int major = 0;
  unsigned int minor = 0;
  unsigned int patch = 0;
  smfi_version(&major, &minor, &patch);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
}

bool run_libmilter(SharedState& state) {
  g_state = &state;
  const bool served = smfi_main() == MI_SUCCESS;
  // Up to two seconds for messages that are being decided.
  for (int i = 0; i < 200 && g_running > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return served;
}

}  // namespace lmtpq::milter

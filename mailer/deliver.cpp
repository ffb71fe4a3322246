// lmtpq deliver: one message from standard input.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/escape.h"
#include "mailer/commands.h"
#include "mailer/delivery/delivery.h"
#include "mailer/io/descriptor_channel.h"
#include "mailer/message/message_input.h"

namespace lmtpq::mailer {
namespace {

// `a@b` or `<a@b>`; '' and '<>' are the null sender.
std::optional<Mailbox> read_address(std::string_view text) {
  if (text.empty()) {
    return Mailbox();
  }
  if (text.front() != '<') {
    return Mailbox::parse(text);
  }
  const auto path = take_path(text);
  return text.empty() ? path : std::nullopt;
}

// Reads standard input up to its end. False: it failed before, for the reason in `failure`.
bool read_message(const Settings& settings, MessageInput& message, std::string& failure) {
  DescriptorChannel input{Descriptor(dup(STDIN_FILENO))};
  std::string bytes;
  std::string_view nothing;
  for (;;) {
    bytes.clear();
    const IoStatus status = input.exchange(nothing, bytes, Clock::now() + settings.timeouts.input);
    if (status == IoStatus::kTimeout) {
      failure = "standard input: no data until the input timeout";
      return false;
    }
    if (status == IoStatus::kFailed) {
      failure = "standard input: " + input.failure();
      return false;
    }
    message.append(bytes);
    if (status == IoStatus::kClosed) {
      message.finish();
      return true;
    }
  }
}

void print(const std::string& recipient, const Outcome& outcome) {
  std::printf("%s: %s (%s)\n", displayed(recipient).c_str(),
              kFateNames[static_cast<int>(outcome.fate)], displayed(reply_text(outcome)).c_str());
}

struct Addressed {
  std::vector<std::size_t> valid;  // the operands that are in the envelope
  std::vector<Outcome> outcomes;   // of all operands; those in the envelope are filled in later
};

// A bad address fails only its own recipient.
Addressed address(const std::vector<std::string>& recipients, Envelope& envelope, const Log& log) {
  Addressed made;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const auto mailbox = read_address(recipients[i]);
    const bool valid = mailbox && !mailbox->null();
    made.outcomes.push_back(outcome_of(Trouble::kBadAddress, recipients[i]));
    if (valid) {
      envelope.recipients.push_back({*mailbox});
      made.valid.push_back(i);
    } else {
      log.info(Record("delivery")
                   .add("trace", "")
                   .add("to", recipients[i])
                   .add("status", kFateNames[static_cast<int>(Fate::kPermanent)])
                   .add("reply", reply_text(made.outcomes[i])));
    }
  }
  return made;
}

}  // namespace

int run_deliver(const Settings& settings, const Log& log,
                const std::vector<std::string>& recipients) {
  const Clock::time_point begun = Clock::now();
  Envelope envelope;
  const auto sender = read_address(settings.sender);
  if (!sender) {
    throw ConfigError("--sender: \"" + escaped(settings.sender) +
                      "\" is not an address; expected user@domain, or '' for bounces");
  }
  if (recipients.size() > settings.max_rcpts) {
    throw ConfigError(std::to_string(recipients.size()) + " recipients; expected at most " +
                      std::to_string(settings.max_rcpts) + ", or raise max-rcpts");
  }
  envelope.sender = *sender;
  Addressed addressed = address(recipients, envelope, log);

  MessageInput message(settings);
  std::string failure;
  if (!read_message(settings, message, failure)) {
    throw ConfigError(failure);
  }
  envelope.body = message.body_type();
  SocketDialer dialer;
  PoolList pools(settings, dialer, log);
  Delivery delivery(settings, pools, log);
  if (!envelope.recipients.empty()) {
    const DeliveryResult result = delivery.deliver({envelope, message.data(), begun, Clock::now()});
    for (std::size_t k = 0; k < addressed.valid.size(); ++k) {
      addressed.outcomes[addressed.valid[k]] = result.outcomes[k];
    }
  }
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    print(recipients[i], addressed.outcomes[i]);
  }
  std::fflush(stdout);
  delivery.close_idle();
  return exit_status(addressed.outcomes);
}

}  // namespace lmtpq::mailer

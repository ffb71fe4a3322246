// lmtpq deliver: one message from standard input.

#include <stdio_ext.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/escape.h"
#include "mailer/commands.h"
#include "mailer/cut_by_signal.h"
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

// One delivery, and a line for each operand. A bad address fails only its own recipient.
class OperandDelivery {
 public:
  OperandDelivery(Envelope envelope, const MailData& data, DeliveryAgent& agent, const Log& log)
      : envelope_(std::move(envelope)), data_(data), agent_(agent), log_(log) {}

  std::vector<Outcome> deliver(std::span<const std::string> operands, Clock::time_point begun) {
    const std::vector<std::size_t> valid = address(operands);
    std::vector<Outcome> outcomes;
    for (const std::string& operand : operands) {
      outcomes.push_back(outcome_of(Trouble::kBadAddress, operand));
    }
    if (!valid.empty()) {
      DeliveryResult result = agent_.deliver({envelope_, data_, begun, Clock::now()});
      for (std::size_t k = 0; k < valid.size(); ++k) {
        outcomes[valid[k]] = std::move(result.outcomes[k]);
      }
    }
    for (std::size_t i = 0; i < operands.size(); ++i) {
      print(operands[i], outcomes[i]);
    }
    // The outcomes stand, whether or not anybody could read them.
    std::fflush(stdout);
    __fpurge(stdout);
    std::clearerr(stdout);
    return outcomes;
  }

 private:
  // The operands that are in the envelope now.
  std::vector<std::size_t> address(std::span<const std::string> operands) {
    std::vector<std::size_t> valid;
    envelope_.recipients.clear();
    for (std::size_t i = 0; i < operands.size(); ++i) {
      const auto mailbox = read_address(operands[i]);
      if (mailbox && !mailbox->null()) {
        envelope_.recipients.push_back({*mailbox});
        valid.push_back(i);
      } else {
        log_.info(Record("delivery")
                      .add("trace", "")
                      .add("to", operands[i])
                      .add("status", kFateNames[static_cast<int>(Fate::kPermanent)])
                      .add("reply", reply_text(outcome_of(Trouble::kBadAddress, operands[i]))));
      }
    }
    return valid;
  }

  Envelope envelope_;
  const MailData& data_;
  DeliveryAgent& agent_;
  const Log& log_;
};

}  // namespace

int run_deliver(const Settings& settings, const Log& log,
                const std::vector<std::string>& recipients) {
  Clock::time_point begun = Clock::now();
  Envelope envelope;
  const auto sender = read_address(settings.sender);
  if (!sender) {
    throw ConfigError("--sender: \"" + escaped(settings.sender) +
                      "\" is not an address; expected user@domain, or '' for bounces");
  }
  envelope.sender = *sender;
  MessageInput message(settings);
  std::string failure;
  if (!read_message(settings, message, failure)) {
    throw ConfigError(failure);
  }
  envelope.body = message.body_type();
  SocketDialer dialer;
  PoolList pools(settings, dialer, log);
  const CutBySignal signals(pools);
  Delivery delivery(settings, pools, log);
  OperandDelivery to_operands(std::move(envelope), message.data(), delivery, log);
  std::vector<Outcome> outcomes;
  for (std::span<const std::string> rest = recipients; !rest.empty(); begun = Clock::now()) {
    const std::size_t count = std::min(settings.max_rcpts, rest.size());
    std::vector<Outcome> some = to_operands.deliver(rest.first(count), begun);
    std::move(some.begin(), some.end(), std::back_inserter(outcomes));
    rest = rest.subspan(count);
  }
  delivery.close_idle();
  return exit_status(outcomes);
}

}  // namespace lmtpq::mailer

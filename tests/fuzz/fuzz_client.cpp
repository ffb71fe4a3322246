// Any bytes from a store, line by line, over three transactions: no mail counts as delivered before
// the end of data, nothing is sent on a broken connection, and nothing that came unencrypted counts
// after STARTTLS. The first byte chooses the number of recipients, the window, whether quota is
// ignored, and whether TLS and a login come first. A first line `#smtp` chooses ESMTP.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "mailer/lmtp/command.h"
#include "mailer/lmtp/lmtp_client.h"

namespace {

using namespace lmtpq;
using namespace lmtpq::mailer;

void check(bool holds) {
  if (!holds) {
    std::abort();
  }
}

class Player {
 public:
  Player(unsigned choice, Protocol protocol)
      : protocol_(protocol),
        recipients_(choice % 4),
        ignore_quota_(choice % 8 > 3),
        window_(choice % 16 > 7 ? 3 : 1),
        tls_(choice % 32 > 15),
        login_(choice % 64 > 31),
        client_("here", window_, protocol) {}

  void hear(std::string_view line) {
    const bool was_broken = client_.state() == ClientState::kBroken;
    client_.receive(line);
    check_answers();
    check_output();
    check(!was_broken || client_.state() == ClientState::kBroken);
    if (open_further()) {
      return;
    }
    if (client_.state() == ClientState::kBody && line.find("#wait") == line.npos) {
      client_.end_of_data();
      dot_ = true;
      ++dots_;
    } else if (client_.message_refused() && line.find("#end") != line.npos) {
      client_.quit_after_refusal();
      check_answers();
      check_output();
    } else if (client_.reusable() && transactions_ < 3) {
      begin();
    }
  }

 private:
  // STARTTLS and AUTH, as Upstream does them.
  bool open_further() {
    switch (client_.state()) {
      case ClientState::kHandshake:
      case ClientState::kLoggedIn:
        check(!client_.confidential());
        client_.start_over();
        check(client_.capabilities().all().empty());
        break;
      case ClientState::kChallenged:
        check(client_.confidential() && client_.challenge().size() <= 9216);
        client_.respond(client_.challenge().size() % 7 == 6 ? std::nullopt
                                                            : std::optional(client_.challenge()));
        break;
      case ClientState::kReady:
        if (tls_ && client_.reusable()) {
          tls_ = false;
          client_.start_tls();
          break;
        }
        if (login_ && client_.reusable()) {
          login_ = false;
          client_.authenticate("X", "a login", "login");
          break;
        }
        return false;
      default:
        return false;
    }
    check_output();
    return true;
  }

  void begin() {
    Transaction transaction;
    transaction.trace = TraceId::parse("t" + std::to_string(transactions_)).value();
    const Mailbox mailbox = Mailbox::parse("a@b").value();
    transaction.recipients.assign(recipients_, {mailbox, ignore_quota_});
    const bool reset = client_.used();
    client_.begin(transaction);
    check(client_.output().starts_with("RSET\r\n") == reset);
    check(client_.answers().size() == recipients_);
    dot_ = false;
    ++transactions_;
    check_output();
  }

  void check_answers() const {
    for (const auto& answer : client_.answers()) {
      check(!answer || !answer->reply.positive() || (dot_ && answer->stage == Awaited::kFinal));
      check(answer || transactions_ == 0 || client_.state() != ClientState::kReady);
    }
    const ClientState state = client_.state();
    const bool open = state == ClientState::kBody || state == ClientState::kFinal;
    const auto& all = client_.answers();
    check(!open || std::any_of(all.begin(), all.end(), [](const auto& a) { return !a; }));
  }

  void check_output() {
    std::string_view output = client_.output();
    while (!output.empty()) {
      const std::size_t end = output.find("\r\n");
      const std::string_view line = output.substr(0, end);
      check((end < kMaxCommandLine || client_.confidential()) && line != ".");
      check(line.find("IGNOREQUOTA") == line.npos || client_.confidential() ||
            (client_.capabilities().offers("IGNOREQUOTA") && line.ends_with("> IGNOREQUOTA")));
      check(protocol_ == Protocol::kLmtp || client_.confidential() ||
            (!line.starts_with("LHLO ") && !line.starts_with("TRACE ") &&
             line.find("IGNOREQUOTA") == line.npos));
      output.remove_prefix(end + 2);
      ++sent_;
    }
    client_.output().clear();
    // Commands without a reply. The end of data may have had several replies, so only until the
    // first.
    check(dots_ > 0 || client_.state() == ClientState::kBroken ||
          sent_ + 1 <= client_.replies() + window_);
  }

  Protocol protocol_;
  std::size_t recipients_;
  bool ignore_quota_;
  std::size_t window_;
  bool tls_;
  bool login_;
  LmtpClient client_;
  int transactions_ = 0;
  bool dot_ = false;
  std::size_t sent_ = 0;
  int dots_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  input.remove_prefix(std::min<std::size_t>(1, size));
  constexpr std::string_view kSmtp = "#smtp\n";
  const bool smtp = input.starts_with(kSmtp);
  input.remove_prefix(smtp ? kSmtp.size() : 0);
  Player player(size == 0 ? 0u : data[0], smtp ? Protocol::kSmtp : Protocol::kLmtp);
  while (!input.empty()) {
    const std::size_t length = std::min(input.find('\n'), input.size() - 1) + 1;
    player.hear(input.substr(0, length));
    input.remove_prefix(length);
  }
  return 0;
}

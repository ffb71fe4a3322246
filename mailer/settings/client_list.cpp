#include "mailer/settings/client_list.h"

#include <pwd.h>

#include <algorithm>

#include "common/options/option_reader.h"
#include "common/options/option_table.h"

namespace lmtpq::mailer {
namespace {

uid_t uid_of(const std::string& name) {
  const passwd* const found = getpwnam(name.c_str());
  if (found == nullptr) {
    throw ConfigError("no such user on this system; create it, or correct the name");
  }
  return found->pw_uid;
}

// (uid_t)-1 is no user's.
uid_t parse_uid(std::string_view text) {
  const std::uint64_t number = parse_number(text);
  if (number >= static_cast<uid_t>(-1)) {
    throw ConfigError("expected uid: and a number below 4294967295");
  }
  return static_cast<uid_t>(number);
}

}  // namespace

std::string Client::text() const {
  return address ? address->shown() : "uid:" + std::to_string(uid);
}

bool Client::on_loopback() const {
  static const std::optional<Network> networks[] = {Network::parse("127.0.0.0/8"),
                                                    Network::parse("::1")};
  return address && std::any_of(std::begin(networks), std::end(networks),
                                [&](const auto& network) { return network->contains(*address); });
}

ClientList ClientList::parse(std::string_view words) {
  ClientList made;
  each_word(words, [&](const std::string& word) {
    if (word == "all") {
      made.all_ = true;
    } else if (word.starts_with("uid:")) {
      made.uids_.push_back(parse_uid(std::string_view(word).substr(4)));
    } else if (word.starts_with("user:")) {
      made.uids_.push_back(uid_of(word.substr(5)));
    } else if (const auto network = Network::parse(word)) {
      made.networks_.push_back(*network);
    } else {
      throw ConfigError(
          "expected addresses, networks such as 192.0.2.0/24, uid:N, user:NAME or all");
    }
  });
  return made;
}

bool ClientList::contains(const Client& client) const {
  if (all_) {
    return true;
  }
  if (!client.address) {
    return std::find(uids_.begin(), uids_.end(), client.uid) != uids_.end();
  }
  return std::any_of(networks_.begin(), networks_.end(),
                     [&](const Network& network) { return network.contains(*client.address); });
}

}  // namespace lmtpq::mailer

// Looks up routes as the daemon does: the program under test of tests/routes.
//
// It takes the daemon's options for routes, and reads lines from standard input. `ADDRESS` prints
// the route of that address. `N ADDRESS` looks up N addresses in N threads at once, ADDRESS with
// the numbers 1 to N before it, and prints how many had which answer. `=N ADDRESS` looks up the
// same addresses as those of one message. Each answer is followed by the milliseconds it took. An
// invalid option is one line on standard error, and exit status 1.

#include <unistd.h>

#include <csignal>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "mailer/routes/watched_route_file.h"
#include "mailer/serve/ldap/ldap_directory.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

std::string route_text(const Route& route) {
  if (const auto* const outcome = std::get_if<Outcome>(&route)) {
    return reply_text(*outcome);
  }
  std::string text;
  if (const auto* const list = std::get_if<DestinationList>(&route)) {
    for (const Destination& destination : **list) {
      text += (text.empty() ? "" : " ") + destination.text;
    }
  }
  return text.empty() ? "default" : text;
}

std::string summary_of(const std::map<std::string, int>& answers) {
  std::string summary;
  for (const auto& [answer, count] : answers) {
    summary += (summary.empty() ? "" : "; ") + std::to_string(count) + " " + answer;
  }
  return summary;
}

std::string ask(Routes& routes, const std::string& address) {
  const auto mailbox = Mailbox::parse(address);
  return mailbox ? route_text(routes.find(*mailbox)) : "no address";
}

std::string ask_all(Routes& routes, int threads, const std::string& address) {
  std::map<std::string, int> answers;
  std::mutex mutex;
  std::vector<std::jthread> threads_asking;
  for (int i = 1; i <= threads; ++i) {
    threads_asking.emplace_back([&, i] {
      const std::string answer = ask(routes, std::to_string(i) + address);
      const std::lock_guard lock(mutex);
      ++answers[answer];
    });
  }
  threads_asking.clear();
  return summary_of(answers);
}

std::string ask_together(Routes& routes, int number, const std::string& address) {
  std::vector<Mailbox> mailboxes;
  for (int i = 1; i <= number; ++i) {
    mailboxes.push_back(Mailbox::parse(std::to_string(i) + address).value());
  }
  Mailboxes recipients;
  for (const Mailbox& mailbox : mailboxes) {
    recipients.push_back(&mailbox);
  }
  std::map<std::string, int> answers;
  for (const Route& route : routes.find_all(recipients)) {
    ++answers[route_text(route)];
  }
  return summary_of(answers);
}

std::string answer_to(Routes& routes, const std::string& line) {
  const std::size_t blank = line.find(' ');
  if (blank == std::string::npos) {
    return ask(routes, line);
  }
  const std::string address = line.substr(blank + 1);
  return line.starts_with('=') ? ask_together(routes, std::stoi(line.substr(1)), address)
                               : ask_all(routes, std::stoi(line), address);
}

void answer_lines(Routes& routes) {
  for (std::string line; std::getline(std::cin, line);) {
    const auto begun = Clock::now();
    const std::string answer = answer_to(routes, line);
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
    std::cout << answer << '\t' << took.count() << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  prepare_ldap();
  try {
    RouteSettings settings;
    OptionReader options(route_option_table(settings));
    options.take_arguments({argv + 1, argv + argc});
    options.apply();
    check(settings, options.places());
    const Log log("ask_routes", "stderr", LogLevel::kInfo);
    CuttableWork look_ups;
    std::vector<std::unique_ptr<Routes>> sources;
    if (!settings.file.empty()) {
      sources.push_back(std::make_unique<WatchedRouteFile>(settings.file, log));
    }
    if (!settings.directory.uris.empty()) {
      sources.push_back(ldap_routes(settings.directory,
                                    read_directory_password(settings.directory, geteuid()), log,
                                    look_ups));
    }
    RoutesInOrder routes(std::move(sources));
    answer_lines(routes);
    return 0;
  } catch (const ConfigError& error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}

// Asks a directory for routes, as the daemon does: the program under test of tests/routes.
//
// What it is: the daemon's options for routes, and a question a line on standard input.
//   `ADDRESS` prints its route. `N ADDRESS` asks in N threads at once for addresses that are the
//   same but for a number in front (1ADDRESS ...) and prints how many had which answer.
//   Behind each stand the milliseconds of the slowest.
// What it does not know: messages, stores.
// Called by: tests/routes/directory.py.
// Threads and lifetimes: as said.
// Failure: a mistake in the options is one line on standard error, and status 1.

#include <unistd.h>

#include <csignal>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "mailer/routes/route_file.h"
#include "mailer/serve/ldap/ldap_routes.h"

using namespace lmtpq;
using namespace lmtpq::mailer;

namespace {

std::string words_of_route(const Route& route) {
  if (const auto* const outcome = std::get_if<Outcome>(&route)) {
    return words_of(*outcome);
  }
  std::string words;
  if (const auto* const list = std::get_if<DestinationList>(&route)) {
    for (const Destination& destination : **list) {
      words += (words.empty() ? "" : " ") + destination.text;
    }
  }
  return words.empty() ? "default" : words;
}

std::string ask(Routes& routes, const std::string& address) {
  const auto mailbox = Mailbox::parse(address);
  return mailbox ? words_of_route(routes.find(*mailbox)) : "no address";
}

std::string ask_all(Routes& routes, int threads, const std::string& address) {
  std::map<std::string, int> answers;
  std::mutex mutex;
  std::vector<std::jthread> asking;
  for (int i = 1; i <= threads; ++i) {
    asking.emplace_back([&, i] {
      const std::string words = ask(routes, std::to_string(i) + address);
      const std::lock_guard lock(mutex);
      ++answers[words];
    });
  }
  asking.clear();
  std::string told;
  for (const auto& [words, count] : answers) {
    told += (told.empty() ? "" : "; ") + std::to_string(count) + " " + words;
  }
  return told;
}

void answer_lines(Routes& routes) {
  for (std::string line; std::getline(std::cin, line);) {
    const auto begun = Clock::now();
    const std::size_t blank = line.find(' ');
    const std::string words =
        blank == std::string::npos
            ? ask(routes, line)
            : ask_all(routes, std::stoi(line.substr(0, blank)), line.substr(blank + 1));
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
    std::cout << words << '\t' << took.count() << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  prepare_ldap();
  try {
    RouteSettings settings;
    Config config(route_option_table(settings));
    config.take_arguments({argv + 1, argv + argc});
    config.apply();
    check(settings);
    const Log log("ask_routes", "stderr", LogLevel::kInfo);
    std::vector<std::unique_ptr<Routes>> maps;
    if (!settings.file.empty()) {
      maps.push_back(std::make_unique<RouteFile>(settings.file, log));
    }
    if (!settings.directory.uris.empty()) {
      maps.push_back(ldap_routes(settings.directory,
                                 read_directory_password(settings.directory, geteuid()), log));
    }
    RoutesInOrder routes(std::move(maps));
    answer_lines(routes);
    return 0;
  } catch (const ConfigError& error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}

#include "mailer/routes/routes.h"

#include <exception>

#include "mailer/io/waiting.h"

namespace lmtpq::mailer {

std::vector<Route> Routes::find_all(const Mailboxes& recipients) {
  std::vector<Route> routes;
  routes.reserve(recipients.size());
  for (const Mailbox* const recipient : recipients) {
    pace();
    try {
      routes.push_back(find(*recipient));
    } catch (const std::exception& error) {
      routes.emplace_back(outcome_of(Trouble::kInternal, error.what()));
    }
  }
  return routes;
}

Route RoutesInOrder::find(const Mailbox& recipient) {
  return std::move(find_all({&recipient}).front());
}

std::vector<Route> RoutesInOrder::find_all(const Mailboxes& recipients) {
  std::vector<Route> routes(recipients.size());
  for (const auto& source : sources_) {
    Mailboxes left;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < routes.size(); ++i) {
      if (std::holds_alternative<DefaultRoute>(routes[i])) {
        left.push_back(recipients[i]);
        places.push_back(i);
      }
    }
    std::vector<Route> found = source->find_all(left);
    for (std::size_t k = 0; k < found.size(); ++k) {
      routes[places[k]] = std::move(found[k]);
    }
  }
  return routes;
}

}  // namespace lmtpq::mailer

#include "mailer/routes/route_address.h"

#include "common/tag/tag_format.h"

namespace lmtpq::mailer {
namespace {

std::string without_detail(const std::string& local) {
  const std::size_t plus = local.find('+');
  // "+folder" alone is how Cyrus addresses a shared folder; it has no detail.
  return plus == std::string::npos || plus == 0 ? local : local.substr(0, plus);
}

}  // namespace

RouteAddress::RouteAddress(const Mailbox& mailbox)
    : local(comparable_address(mailbox.local_part())),
      user(without_detail(local)),
      domain(comparable_address(mailbox.domain())) {
  if (domain.size() > 1 && domain.ends_with('.')) {
    domain.pop_back();
  }
}

std::string address_text(std::string_view local, std::string_view domain) {
  std::string text(local);
  if (!domain.empty()) {
    text += '@';
    text += domain;
  }
  return text;
}

}  // namespace lmtpq::mailer

#include "mailer/store/mailbox_name.h"

#include <algorithm>

#include "common/ascii.h"

namespace lmtpq::mailer {
namespace {

// RFC 5321 section 4.1.2: the quotes and backslashes of a local part do not belong to its value.
std::string unquoted(std::string_view local_part) {
  std::string value;
  for (std::size_t i = 0; i < local_part.size(); ++i) {
    if (local_part[i] == '\\' && i + 1 < local_part.size()) {
      ++i;
    } else if (local_part[i] == '"') {
      continue;
    }
    value += local_part[i];
  }
  return value;
}

}  // namespace

std::string mailbox_name(const Mailbox& address, std::string_view delimiters) {
  std::string name = unquoted(address.local_part());
  name.resize(std::min(name.size(), name.find_first_of(delimiters, 1)));
  if (!address.domain().empty()) {
    name += '@';
    name += address.domain();
  }
  return lower_case(name);
}

}  // namespace lmtpq::mailer

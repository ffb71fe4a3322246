#include "milter/policy/address_form.h"

#include <string>

#include "common/mailbox.h"
#include "common/tag/tag_format.h"

namespace lmtpq::milter {

AddressForm form_of(std::string_view path) {
  const std::string_view address = without_brackets(path);
  if (address.empty()) {
    return AddressForm::kPlain;  // the null sender
  }
  if (!Mailbox::parse(address)) {
    return AddressForm::kAmbiguous;
  }
  // Quoted characters count too: Sendmail's rules see them without the quotes.
  const std::string text = comparable_address(address);
  const std::string_view local = std::string_view(text).substr(0, text.rfind('@'));
  const bool plain = local.find_first_of("%!@:;,<>()[]\"\\ \t") == std::string_view::npos;
  return plain ? AddressForm::kPlain : AddressForm::kAmbiguous;
}

}  // namespace lmtpq::milter

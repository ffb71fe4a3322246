// The sections [destination.NAME] of the file, and which of them hold for a store.
//
// A section is for a host, or for a host and port. Where one of each fits, both hold, and the one
// with the port overrides the other. A section for smtp:HOST never holds for a store that speaks
// LMTP, nor the other way round. Errors are ConfigErrors with file and line.
#pragma once

#include <vector>

#include "mailer/settings/store_settings.h"

namespace lmtpq::mailer {

inline constexpr const char* kDestinationPrefix = "destination.";

// Each destination with the settings that hold for it. All sections are read, so that errors are
// reported at the start even in unused ones. `lmtp_port`: of a system without the service lmtp.
std::vector<Store> find_stores(const OptionReader& options,
                               const std::vector<Destination>& destinations,
                               int lmtp_port = kLmtpPort);

// What the sections are for.
std::vector<Destination> section_destinations(const OptionReader& options);

}  // namespace lmtpq::mailer

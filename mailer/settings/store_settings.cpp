#include "mailer/settings/store_settings.h"

#include <algorithm>

#include "common/config/option_table.h"
#include "common/tag/keyring.h"

namespace lmtpq::mailer {
namespace {

struct Section {
  FreeSection lines;  // without those that say for whom the others are
  std::vector<Destination> destinations;

  std::string name() const {
    return std::string("[") + kStorePrefix + lines.name + "] (" +
           lines.place.substr(0, lines.place.size() - 2) + ")";
  }
};

void take_destinations(Section& section, std::string_view text, const std::string& place) {
  std::vector<Destination> named;
  try {
    named = parse_destinations(text);
  } catch (const ConfigError& error) {
    throw ConfigError(place + error.what());
  }
  if (named.empty()) {
    throw ConfigError(place + "destination: expected DEST, or several with commas");
  }
  section.destinations.insert(section.destinations.end(), named.begin(), named.end());
}

Section read_section(const FreeSection& section) {
  Section made{section, {}};
  std::erase_if(made.lines.lines, [&](const FreeSection::Line& line) {
    const bool names = line.name == "destination";
    if (names) {
      take_destinations(made, line.value, line.place);
    }
    return names;
  });
  if (made.destinations.empty()) {
    take_destinations(made, section.name, section.place);
  }
  return made;
}

// A DEST that a section is for.
struct Claim {
  Destination destination;
  const Section* section;
};

std::vector<Claim> claims_of(const std::vector<Section>& sections) {
  std::vector<Claim> claims;
  for (const Section& section : sections) {
    for (const Destination& destination : section.destinations) {
      claims.push_back({destination, &section});
    }
  }
  return claims;
}

// Which of the sections should count could only be guessed, and TLS may hang on it.
void refuse_twins(const std::vector<Claim>& claims) {
  for (auto later = claims.begin(); later != claims.end(); ++later) {
    const auto twin = std::find_if(claims.begin(), later, [&](const Claim& earlier) {
      return earlier.section != later->section &&
             earlier.destination.port.empty() == later->destination.port.empty() &&
             earlier.destination.covers(later->destination);
    });
    if (twin != later) {
      throw ConfigError(later->section->lines.place + later->destination.text +
                        " has a section already: " + twin->section->name());
    }
  }
}

template <typename Fits>
const Section* first_that(const std::vector<Claim>& claims, Fits fits) {
  const auto found = std::find_if(claims.begin(), claims.end(),
                                  [&](const Claim& claim) { return fits(claim.destination); });
  return found == claims.end() ? nullptr : found->section;
}

StoreSettings settings_of(const Config& config, const FreeSection& section,
                          Config::Effective* effective = nullptr) {
  StoreSettings settings;
  Table table = store_option_table(settings);
  append(table, pool_option_table(settings.pool));
  Config::Effective applied = config.apply_section(section, table);
  if (effective != nullptr) {
    *effective = std::move(applied);
  }
  return settings;
}

}  // namespace

std::vector<Store> find_stores(const Config& config, const std::vector<Destination>& destinations) {
  std::vector<Section> sections;
  for (const FreeSection& section : config.free_sections(kStorePrefix)) {
    sections.push_back(read_section(section));
    settings_of(config, sections.back().lines);
  }
  const std::vector<Claim> claims = claims_of(sections);
  refuse_twins(claims);
  std::vector<Store> stores;
  for (const Destination& destination : destinations) {
    FreeSection lines;
    std::string names;
    for (const bool with_port : {false, true}) {
      const Section* const section = first_that(claims, [&](const Destination& named) {
        return named.port.empty() != with_port && named.covers(destination);
      });
      if (section != nullptr) {
        lines.lines.insert(lines.lines.end(), section->lines.lines.begin(),
                           section->lines.lines.end());
        names += (names.empty() ? "" : ", ") + section->name();
      }
    }
    const Section* const near =
        first_that(claims, [&](const Destination& named) { return named.same_host(destination); });
    Store store;
    store.destination = destination;
    store.settings = settings_of(config, lines, &store.effective);
    store.section = names;
    store.near_miss = names.empty() && near != nullptr ? near->name() : "";
    stores.push_back(std::move(store));
  }
  return stores;
}

bool same_store(const Store& one, const Store& other) {
  return one.destination.text == other.destination.text && one.effective == other.effective &&
         one.login.user == other.login.user &&
         same_secret(one.login.password.text(), other.login.password.text()) &&
         same_secret(one.settings.tls.key.text(), other.settings.tls.key.text());
}

void check(const Store& store) {
  const TlsSettings& tls = store.settings.tls;
  const std::string place = store.destination.text + ": ";
  if (tls.level == TlsLevel::kFingerprint && tls.fingerprints.empty()) {
    throw ConfigError(place + "--tls=fingerprint needs --tls-fingerprint; lmtpq probe shows it");
  }
  if (tls.level == TlsLevel::kVerify && tls.name.empty() &&
      store.destination.family == Destination::Family::kUnix) {
    throw ConfigError(place + "--tls=verify over a unix socket needs --tls-name");
  }
  if (tls.level != TlsLevel::kFingerprint && !tls.fingerprints.empty()) {
    throw ConfigError(place + "--tls-fingerprint is looked at with --tls=fingerprint only");
  }
  // Not repeated: behind the colon may be a password.
  if (store.settings.auth.user.find(':') != std::string::npos) {
    throw ConfigError(place +
                      "--auth-user: expected a name without a colon; the password stands in "
                      "--auth-password-file");
  }
  if (!tls.key_file.empty() && tls.certificate_file.empty()) {
    throw ConfigError(place + "--tls-key needs --tls-cert");
  }
}

}  // namespace lmtpq::mailer

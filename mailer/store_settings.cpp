#include "store_settings.h"

#include "option_table.h"

namespace lmtpq {
namespace {

struct Section {
  FreeSection lines;  // without the line that says for whom they are
  std::vector<Destination> destinations;
};

Section read_section(const FreeSection& section) {
  Section made{section, {}};
  std::string destinations = section.name;
  std::string place = section.place;
  std::erase_if(made.lines.lines, [&](const FreeSection::Line& line) {
    const bool names = line.name == "destination";
    if (names) {
      destinations = line.value;
      place = line.place;
    }
    return names;
  });
  for (const std::string& word : list_of(destinations)) {
    try {
      made.destinations.push_back(parse_destination(word));
    } catch (const ConfigError& error) {
      throw ConfigError(place + error.what());
    }
  }
  if (made.destinations.empty()) {
    throw ConfigError(place + "destination: expected DEST, or several with commas");
  }
  return made;
}

// The port that is named counts more than the host alone.
const Section* section_for(const std::vector<Section>& sections, const Destination& destination) {
  const Section* found = nullptr;
  bool exact = false;
  for (const Section& section : sections) {
    for (const Destination& named : section.destinations) {
      if (named.covers(destination) && (found == nullptr || (!exact && !named.port.empty()))) {
        found = &section;
        exact = !named.port.empty();
      }
    }
  }
  return found;
}

StoreSettings settings_of(const Config& config, const FreeSection& section) {
  StoreSettings settings;
  config.apply_section(section, store_option_table(settings));
  return settings;
}

}  // namespace

std::vector<Store> find_stores(const Config& config, const std::vector<Destination>& destinations) {
  std::vector<Section> sections;
  for (const FreeSection& section : config.free_sections()) {
    sections.push_back(read_section(section));
    settings_of(config, sections.back().lines);
  }
  std::vector<Store> stores;
  for (const Destination& destination : destinations) {
    const Section* const section = section_for(sections, destination);
    stores.push_back({destination,
                      settings_of(config, section != nullptr ? section->lines : FreeSection()),
                      {}});
  }
  return stores;
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
  if (!tls.key_file.empty() && tls.certificate_file.empty()) {
    throw ConfigError(place + "--tls-key needs --tls-cert");
  }
}

}  // namespace lmtpq

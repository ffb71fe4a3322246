#include "store_settings.h"

#include "option_table.h"

namespace lmtpq {
namespace {

struct Section {
  FreeSection lines;  // without those that say for whom the others are
  std::vector<Destination> destinations;

  std::string name() const {
    return std::string("[") + kSectionPrefix + lines.name + "] (" +
           lines.place.substr(0, lines.place.size() - 2) + ")";
  }
};

void take_destinations(Section& section, std::string_view text, const std::string& place) {
  const std::vector<std::string> words = list_of(text);
  if (words.empty()) {
    throw ConfigError(place + "destination: expected DEST, or several with commas");
  }
  for (const std::string& word : words) {
    try {
      section.destinations.push_back(parse_destination(word));
    } catch (const ConfigError& error) {
      throw ConfigError(place + error.what());
    }
  }
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

// Which of them should count could only be guessed, and TLS may hang on it.
void refuse_twins(const std::vector<Section>& sections) {
  for (const Section& section : sections) {
    for (const Section& other : sections) {
      for (const Destination& one : section.destinations) {
        for (const Destination& twin : other.destinations) {
          if (&other > &section && one.port.empty() == twin.port.empty() && one.covers(twin)) {
            throw ConfigError(other.lines.place + twin.text +
                              " has a section already: " + section.name());
          }
        }
      }
    }
  }
}

// The one section that names the destination with its port, or without any.
const Section* section_for(const std::vector<Section>& sections, const Destination& destination,
                           bool with_port) {
  for (const Section& section : sections) {
    for (const Destination& named : section.destinations) {
      if (named.port.empty() != with_port && named.covers(destination)) {
        return &section;
      }
    }
  }
  return nullptr;
}

const Section* near_miss(const std::vector<Section>& sections, const Destination& destination) {
  for (const Section& section : sections) {
    for (const Destination& named : section.destinations) {
      if (named.same_host(destination)) {
        return &section;
      }
    }
  }
  return nullptr;
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
  refuse_twins(sections);
  std::vector<Store> stores;
  for (const Destination& destination : destinations) {
    FreeSection lines;
    std::string names;
    for (const bool with_port : {false, true}) {
      if (const Section* const section = section_for(sections, destination, with_port)) {
        lines.lines.insert(lines.lines.end(), section->lines.lines.begin(),
                           section->lines.lines.end());
        names += (names.empty() ? "" : ", ") + section->name();
      }
    }
    stores.push_back({destination, settings_of(config, lines), {}, names, {}});
    const Section* const near = names.empty() ? near_miss(sections, destination) : nullptr;
    if (near != nullptr) {
      stores.back().near_miss = near->name();
    }
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

}  // namespace lmtpq

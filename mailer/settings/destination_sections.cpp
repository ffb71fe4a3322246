#include "mailer/settings/destination_sections.h"

#include <algorithm>

#include "common/escape.h"
#include "common/options/option_table.h"

namespace lmtpq::mailer {
namespace {

struct Section {
  FreeSection lines;  // without the lines `destination = ...`
  std::vector<Destination> destinations;

  std::string name() const {
    return std::string("[") + kDestinationPrefix + lines.name + "] (" +
           lines.place.substr(0, lines.place.size() - 2) + ")";
  }
};

void take_destinations(Section& section, std::string_view text, const std::string& place) {
  const std::vector<Destination> named =
      at_place(place + "destination: \"" + escaped(text) + '"', [&] {
        std::vector<Destination> made = parse_destinations(text);
        if (made.empty()) {
          throw ConfigError("expected DEST, or several with commas");
        }
        return made;
      });
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

std::vector<Claim> claims_of(const std::vector<Section>& sections, int lmtp_port) {
  std::vector<Claim> claims;
  for (const Section& section : sections) {
    for (const Destination& destination : section.destinations) {
      claims.push_back({destination, &section});
      claims.back().destination.lmtp_port = lmtp_port;
    }
  }
  return claims;
}

// Which of the sections should hold could only be guessed, and TLS may depend on it.
void refuse_duplicates(const std::vector<Claim>& claims) {
  for (auto later = claims.begin(); later != claims.end(); ++later) {
    const auto duplicate = std::find_if(claims.begin(), later, [&](const Claim& earlier) {
      return earlier.section != later->section &&
             earlier.destination.port.empty() == later->destination.port.empty() &&
             earlier.destination.covers(later->destination);
    });
    if (duplicate != later) {
      throw ConfigError(later->section->lines.place + later->destination.text +
                        " has a section already: " + duplicate->section->name() + "; remove one");
    }
  }
}

template <typename Fits>
const Section* first_that(const std::vector<Claim>& claims, Fits fits) {
  const auto found = std::find_if(claims.begin(), claims.end(),
                                  [&](const Claim& claim) { return fits(claim.destination); });
  return found == claims.end() ? nullptr : found->section;
}

StoreSettings settings_of(const OptionReader& options, const FreeSection& section,
                          OptionReader::Effective* effective = nullptr) {
  StoreSettings settings;
  OptionTable table = store_option_table(settings);
  append(table, pool_option_table(settings.pool));
  OptionReader::Effective applied = options.apply_section(section, table);
  if (effective != nullptr) {
    *effective = std::move(applied);
  }
  return settings;
}

Store make_store(const OptionReader& options, const std::vector<Claim>& claims,
                 const Destination& destination) {
  Store store;
  store.destination = destination;
  FreeSection lines;
  for (const bool with_port : {false, true}) {
    const Section* const section = first_that(claims, [&](const Destination& named) {
      return named.port.empty() != with_port && named.covers(destination);
    });
    if (section != nullptr) {
      lines.lines.insert(lines.lines.end(), section->lines.lines.begin(),
                         section->lines.lines.end());
      store.section += (store.section.empty() ? "" : ", ") + section->name();
    }
  }
  store.settings = settings_of(options, lines, &store.effective);
  TlsSettings& tls = store.settings.tls;
  tls.level = tls.wrapper && tls.level == TlsLevel::kMay ? TlsLevel::kEncrypt : tls.level;
  store.settings.places = options.places(lines);
  store.settings.tls.places = store.settings.places;
  if (store.section.empty()) {
    const Section* const near =
        first_that(claims, [&](const Destination& named) { return named.same_host(destination); });
    store.near_miss = near == nullptr ? "" : near->name();
  }
  return store;
}

std::vector<Section> read_sections(const OptionReader& options) {
  std::vector<Section> sections;
  for (const FreeSection& section : options.free_sections(kDestinationPrefix)) {
    attempt(options.findings(), [&] {
      sections.push_back(read_section(section));
      settings_of(options, sections.back().lines);
    });
  }
  return sections;
}

}  // namespace

std::vector<Destination> section_destinations(const OptionReader& options) {
  std::vector<Destination> made;
  for (const Section& section : read_sections(options)) {
    made.insert(made.end(), section.destinations.begin(), section.destinations.end());
  }
  return made;
}

std::vector<Store> find_stores(const OptionReader& options,
                               const std::vector<Destination>& destinations, int lmtp_port) {
  const std::vector<Section> sections = read_sections(options);
  const std::vector<Claim> claims = claims_of(sections, lmtp_port);
  attempt(options.findings(), [&] { refuse_duplicates(claims); });
  std::vector<Store> stores;
  stores.reserve(destinations.size());
  for (const Destination& destination : destinations) {
    Destination dialled = destination;
    dialled.lmtp_port = lmtp_port;
    stores.push_back(make_store(options, claims, dialled));
  }
  return stores;
}

}  // namespace lmtpq::mailer

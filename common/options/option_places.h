// Where the options' values come from, for errors that are found after the values were read.
//
// A value, filled by OptionReader::places() and copied into the settings.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/config_error.h"

namespace lmtpq {

class OptionPlaces {
 public:
  void add(const std::string& name, const std::string& place) { places_[name] = place; }

  // Whether the file or the command line has it.
  bool given(const std::string& name) const { return places_.contains(name); }

  // "FILE:LINE: name", or "--name" for the command line and for defaults.
  std::string of(const std::string& name) const {
    const auto found = places_.find(name);
    return found == places_.end() ? "--" + name : found->second;
  }

 private:
  std::map<std::string, std::string> places_;
};

// Calls `action`; the place is put in front of its ConfigError.
template <typename Action>
auto at_place(const std::string& place, Action action) {
  try {
    return action();
  } catch (const ConfigError& error) {
    throw ConfigError(place + ": " + error.what());
  }
}

}  // namespace lmtpq

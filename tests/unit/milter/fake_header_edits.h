// HeaderEdits on a list of fields. As in Sendmail, a deleted field keeps its number; with `shifts`
// it does not, as in Postfix. After `takes` edits all others fail.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "common/ascii.h"
#include "milter/header_edits.h"

namespace lmtpq::milter {

struct FakeField {
  std::string name;
  std::string value;
  bool deleted = false;
};

class FakeHeaderEdits : public HeaderEdits {
 public:
  std::vector<FakeField> fields;
  std::vector<std::string> calls;  // "delete NAME INDEX", "insert NAME"
  bool shifts = false;
  int takes = std::numeric_limits<int>::max();

  bool delete_field(const std::string& name, int index) override {
    calls.push_back("delete " + name + ' ' + std::to_string(index));
    if (takes-- <= 0) {
      return false;
    }
    for (FakeField& field : fields) {
      const bool counts = same_word(field.name, name) && !(shifts && field.deleted);
      if (counts && --index == 0) {
        field.deleted = true;
        break;
      }
    }
    return true;
  }

  bool insert_field(const std::string& name, const std::string& value) override {
    calls.push_back("insert " + name);
    if (takes-- <= 0) {
      return false;
    }
    fields.insert(fields.begin(), {name, value});
    return true;
  }

  // The values of a field in the edited header.
  std::vector<std::string> values(const std::string& name) const {
    std::vector<std::string> left;
    for (const FakeField& field : fields) {
      if (same_word(field.name, name) && !field.deleted) {
        left.push_back(field.value);
      }
    }
    return left;
  }
};

}  // namespace lmtpq::milter

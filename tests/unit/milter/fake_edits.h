// An MTA in memory: a header that is edited as Sendmail edits it.
//
// What it is: Edits upon a list of fields. As in Sendmail, a deleted field keeps its place in the
//   count; with `shifts` it does not, as in Postfix.
// What it does not know: why.
// Called by: the tests of Message.
// Threads and lifetimes: one test.
// Failure: as told: after `takes` edits none is taken any more.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "common/ascii.h"
#include "milter/edits.h"

namespace lmtpq::milter {

struct FakeField {
  std::string name;
  std::string value;
  bool deleted = false;
};

class FakeEdits : public Edits {
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

  // What the message's next reader sees of a field.
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

// JSON (RFC 8259), written.
//
// What it is: strings, objects and lists as text.
// What it does not know: what is told in it; reading.
// Called by: probe and the daemon's snapshot.
// Threads and lifetimes: values.
// Failure: none.
#pragma once

#include <string>
#include <vector>

namespace lmtpq::mailer {

std::string json_string(const std::string& text);
// Of what is JSON already.
std::string json_list(const std::vector<std::string>& items);

// An object of what is JSON already.
class JsonObject {
 public:
  JsonObject& add(const std::string& name, const std::string& json);
  JsonObject& add_text(const std::string& name, const std::string& text) {
    return add(name, json_string(text));
  }
  JsonObject& add_truth(const std::string& name, bool truth) {
    return add(name, truth ? "true" : "false");
  }
  std::string text() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

}  // namespace lmtpq::mailer

// A message with its configuration, header and log, for the tests of Message.
#pragma once

#include <cppunit/extensions/HelperMacros.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/options/option_reader.h"
#include "common/tag/key_file.h"
#include "milter/message.h"
#include "milter/policy/rule_parser.h"
#include "tests/unit/milter/fake_header_edits.h"

namespace lmtpq::milter {

inline constexpr std::int64_t kNow = 1'800'000'000;
inline constexpr const char* kKeys = "k1 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";
inline constexpr const char* kTrusted =
    "[rule.notices]\nclient = 192.0.2.0/24\nheader X-Notice = yes*\nquota = ignore\n"
    "[rule.carol]\nrcpt = carol@*\nquota = ignore\n";

inline Configuration configuration_of(const std::string& rules) {
  OptionReader options({}, {{"rule.", rule_keys()}});
  options.take_text(rules, "test");
  Configuration made;
  made.policy = Policy(parse_rules(options.free_sections()), {"cyrusv2"});
  made.keys = parse_keys(kKeys, "test");
  made.tag_lifetime = std::chrono::hours(1);
  return made;
}

inline ConfigurationPtr shared(Configuration configuration) {
  return std::make_shared<const Configuration>(std::move(configuration));
}

inline MessageFacts mail(const std::string& client = "192.0.2.9") {
  MessageFacts facts;
  facts.client.address = Address::parse(client);
  facts.sender = "notice@example.org";
  facts.queue_id = "4AL93Qxa012345";
  return facts;
}

inline RecipientFacts to(const std::string& address, const std::string& mailer = "cyrusv2") {
  return {address, address.substr(0, address.find('@')), mailer};
}

// A SharedState with a log that can be read.
class Bench {
 public:
  explicit Bench(ConfigurationPtr configuration)
      : path_(make_file()), log_("test", path_, LogLevel::kInfo), state(configuration, log_) {}
  ~Bench() { unlink(path_.c_str()); }

  std::string log() const {
    log_.flush();
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool logged(const std::string& text) const { return log().find(text) != std::string::npos; }

 private:
  static std::string make_file() {
    char path[] = "/tmp/lmtpq-message-test-XXXXXX";
    close(mkstemp(path));
    return path;
  }
  std::string path_;
  Log log_;

 public:
  SharedState state;
};

inline void feed(Message& message, FakeHeaderEdits& edits, const std::string& name,
                 const std::string& value) {
  edits.fields.push_back({name, value});
  message.take_field(name, value);
}

// A message, its header, and the state with which it is decided.
struct Scene {
  explicit Scene(const ConfigurationPtr& configuration, MessageFacts facts = mail())
      : bench(configuration), message(configuration, std::move(facts)) {}
  Bench bench;
  FakeHeaderEdits edits;
  Message message;
};

// What the mailer makes of the only tag.
inline std::variant<Tag, TagFault> verified(const FakeHeaderEdits& edits,
                                            const Configuration& configuration,
                                            const std::string& message_id = "<a@b>",
                                            const std::string& queue_id = "4AL93Qxa012345",
                                            std::int64_t now = kNow) {
  const std::vector<std::string> tags = edits.values(std::string(kTagName));
  CPPUNIT_ASSERT_EQUAL(std::size_t{1}, tags.size());
  return Tag::verify(tags[0], configuration.keys, {message_id, queue_id}, now);
}

inline QuotaScope scope_of(const std::variant<Tag, TagFault>& tag) {
  CPPUNIT_ASSERT(std::holds_alternative<Tag>(tag));
  return std::get<Tag>(tag).quota();
}

inline bool decide(Message& message, Bench& bench, FakeHeaderEdits& edits) {
  return message.decide(bench.state, edits, kNow, Limiter::Time());
}

}  // namespace lmtpq::milter

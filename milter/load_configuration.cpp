#include "milter/load_configuration.h"

#include <chrono>
#include <memory>
#include <utility>

#include "common/escape.h"
#include "common/privileges.h"
#include "common/tag/key_file.h"
#include "milter/policy/rule_parser.h"

namespace lmtpq::milter {
namespace {

void refuse_operands(const std::vector<std::string>& operands) {
  if (!operands.empty()) {
    throw ConfigError("unexpected argument " + escaped(operands[0]) + "; only options are allowed");
  }
}

Keyring read_keys(const Settings& settings, std::string& keys_error) {
  try {
    const uid_t reader =
        at_place(settings.places.of("user"), [&] { return future_user(settings.user); });
    return at_place(settings.places.of("tag-keys"),
                    [&] { return read_key_file_or_default(settings.tag_keys, reader); });
  } catch (const ConfigError& error) {
    if (settings.task != Task::kExplain) {
      throw;
    }
    keys_error = error.what();
  }
  return {};
}

}  // namespace

LoadedConfiguration load_configuration(const std::vector<std::string>& arguments,
                                       Findings* findings) {
  LoadedConfiguration loaded;
  Settings& settings = loaded.settings;
  OptionReader options(option_table(settings), {{"rule.", rule_keys()}},
                       {"lmtpq-milter --help", "lmtpq-milter(8)"});
  options.collect_errors(findings);
  refuse_operands(options.take_arguments(arguments));
  options.take_file(options.argument_or_default("config"), true);
  options.apply();
  settings.places = options.places();
  loaded.effective = options.effective();

  Configuration made;
  made.policy = Policy(parse_rules(options.free_sections(), findings), settings.tag_mailers);
  made.trace = TraceOrigin(settings.trace_fields, settings.trusted_clients);
  attempt(findings, [&] { made.keys = read_keys(settings, loaded.keys_error); });
  made.tag_lifetime = std::chrono::duration_cast<std::chrono::seconds>(settings.tag_lifetime);
  made.bind_queue_id = settings.bind_queue_id;
  made.failure = settings.failure;
  loaded.configuration = std::make_shared<const Configuration>(std::move(made));
  return loaded;
}

}  // namespace lmtpq::milter

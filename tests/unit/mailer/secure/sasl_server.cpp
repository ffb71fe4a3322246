#include "tests/unit/mailer/secure/sasl_server.h"

#include <cppunit/extensions/HelperMacros.h>
#include <sasl/saslplug.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include <cstring>
#include <string_view>

namespace lmtpq::mailer {
namespace {

constexpr int kMaxSteps = 50;

int look_up(void*, sasl_server_params_t* parameters, unsigned, const char* user, unsigned length) {
  const std::string_view whole(user, length);
  if (whole.substr(0, whole.find('@')) != kServerUser) {
    return SASL_NOUSER;
  }
  const sasl_utils_t& library = *parameters->utils;
  for (const propval* wanted = library.prop_get(parameters->propctx); wanted->name != nullptr;
       ++wanted) {
    const char* const name = wanted->name + (wanted->name[0] == '*' ? 1 : 0);
    if (std::strcmp(name, "userPassword") == 0 && wanted->values == nullptr) {
      library.prop_set(parameters->propctx, wanted->name, kServerPassword, -1);
    }
  }
  return SASL_OK;
}

char g_plugin_name[] = "memory";
sasl_auxprop_plug_t g_plugin = {
    0, 0, nullptr, nullptr, &look_up, g_plugin_name, nullptr,
};

int begin_plugin(const sasl_utils_t*, int, int* version, sasl_auxprop_plug_t** plugin,
                 const char*) {
  *version = SASL_AUXPROP_PLUG_VERSION;
  *plugin = &g_plugin;
  return SASL_OK;
}

int get_option(void* settings, const char*, const char* option, const char** result,
               unsigned* length) {
  const auto* const own = static_cast<const SaslServerSettings*>(settings);
  const std::string_view name = option;
  *result = nullptr;
  if (name == "auxprop_plugin") {
    *result = g_plugin_name;
  } else if (name == "pwcheck_method") {
    *result = "auxprop";
  } else if (name == "mech_list" && own != nullptr && !own->mechanisms.empty()) {
    *result = own->mechanisms.c_str();
  }
  if (*result == nullptr) {
    return SASL_FAIL;
  }
  if (length != nullptr) {
    *length = static_cast<unsigned>(std::strlen(*result));
  }
  return SASL_OK;
}

int discard_log(void*, int, const char*) { return SASL_OK; }

template <typename Function>
sasl_callback_t callback(unsigned long id, Function function, void* context) {
  return {id, reinterpret_cast<int (*)()>(reinterpret_cast<void (*)()>(function)), context};
}

// As in SaslClient.
struct LeaksOfPlugins {
#if defined(__SANITIZE_ADDRESS__)
  LeaksOfPlugins() { __lsan_disable(); }
  ~LeaksOfPlugins() { __lsan_enable(); }
#endif
};

void begin_library() {
  static const sasl_callback_t callbacks[] = {callback(SASL_CB_GETOPT, &get_option, nullptr),
                                              callback(SASL_CB_LOG, &discard_log, nullptr),
                                              {SASL_CB_LIST_END, nullptr, nullptr}};
  static const int result = [] {
    const int begun = sasl_server_init(callbacks, "lmtpq-unit-tests");
    return begun == SASL_OK ? sasl_auxprop_add_plugin(g_plugin_name, &begin_plugin) : begun;
  }();
  CPPUNIT_ASSERT_EQUAL(SASL_OK, result);
}

}  // namespace

SaslServer::SaslServer(const SaslServerSettings& settings) : settings_(settings) {
  begin_library();
  callbacks_ = {callback(SASL_CB_GETOPT, &get_option, &settings_),
                callback(SASL_CB_LOG, &discard_log, nullptr),
                {SASL_CB_LIST_END, nullptr, nullptr}};
  const auto must = [](int result) { CPPUNIT_ASSERT_EQUAL(SASL_OK, result); };
  must(sasl_server_new("lmtp", kServerName, kServerName, nullptr, nullptr, callbacks_.data(), 0,
                       &connection_));
  sasl_security_properties_t properties{};
  properties.max_ssf = settings_.max_layer_bits;
  properties.maxbufsize = settings_.max_record;
  must(sasl_setprop(connection_, SASL_SEC_PROPS, &properties));
  const sasl_ssf_t bits = settings_.external_bits;
  must(sasl_setprop(connection_, SASL_SSF_EXTERNAL, &bits));
  if (!settings_.external_identity.empty()) {
    must(sasl_setprop(connection_, SASL_AUTH_EXTERNAL, settings_.external_identity.c_str()));
  }
  if (!settings_.binding_type.empty()) {
    binding_.name = settings_.binding_type.c_str();
    binding_.len = settings_.binding.size();
    binding_.data = reinterpret_cast<const unsigned char*>(settings_.binding.data());
    must(sasl_setprop(connection_, SASL_CHANNEL_BINDING, &binding_));
  }
}

SaslServer::~SaslServer() { sasl_dispose(&connection_); }

std::string SaslServer::offered() const {
  const char* list = nullptr;
  return sasl_listmech(connection_, nullptr, "", " ", "", &list, nullptr, nullptr) == SASL_OK ? list
                                                                                              : "";
}

SaslServer::Verdict SaslServer::begin(const std::string& mechanism,
                                      const std::optional<std::string>& initial) {
  const char* out = nullptr;
  unsigned length = 0;
  const int result =
      sasl_server_start(connection_, mechanism.c_str(), initial ? initial->c_str() : nullptr,
                        initial ? static_cast<unsigned>(initial->size()) : 0, &out, &length);
  return verdict(result, out, length);
}

SaslServer::Verdict SaslServer::hear(const std::string& answer) {
  [[maybe_unused]] const LeaksOfPlugins ignored;
  const char* out = nullptr;
  unsigned length = 0;
  const int result = sasl_server_step(connection_, answer.c_str(),
                                      static_cast<unsigned>(answer.size()), &out, &length);
  return verdict(result, out, length);
}

SaslServer::Verdict SaslServer::verdict(int result, const char* out, unsigned length) {
  challenge_.clear();
  if (result == SASL_CONTINUE && out != nullptr) {  // otherwise it may point to freed memory
    challenge_.assign(out, length);
  }
  return result == SASL_OK         ? Verdict::kYes
         : result == SASL_CONTINUE ? Verdict::kChallenge
                                   : Verdict::kNo;
}

std::string SaslServer::user() const {
  const void* name = nullptr;
  return sasl_getprop(connection_, SASL_USERNAME, &name) == SASL_OK && name != nullptr
             ? static_cast<const char*>(name)
             : "";
}

std::string SaslServer::seal(const std::string& plain) {
  const char* out = nullptr;
  unsigned length = 0;
  CPPUNIT_ASSERT_EQUAL(SASL_OK, sasl_encode(connection_, plain.data(),
                                            static_cast<unsigned>(plain.size()), &out, &length));
  return {out, length};
}

std::optional<std::string> SaslServer::open(const std::string& sealed) {
  const char* out = nullptr;
  unsigned length = 0;
  if (sasl_decode(connection_, sealed.data(), static_cast<unsigned>(sealed.size()), &out,
                  &length) != SASL_OK) {
    return std::nullopt;
  }
  return std::string(out == nullptr ? "" : out, length);
}

std::string SaslTalk::all() const {
  std::string text;
  for (const std::string& one : said) {
    text += one + '\n';
  }
  return text;
}

SaslTalk exchange(SaslClient& client, SaslServer& server) {
  SaslTalk made;
  made.said.push_back(client.initial().value_or(""));
  auto verdict = server.begin(client.mechanism(), client.initial());
  for (int step = 0; verdict == SaslServer::Verdict::kChallenge && step < kMaxSteps; ++step) {
    const auto answer = client.answer(server.challenge());
    if (!answer) {
      return made;
    }
    made.said.push_back(*answer);
    verdict = server.hear(*answer);
  }
  made.yes = verdict == SaslServer::Verdict::kYes && client.succeed();
  return made;
}

}  // namespace lmtpq::mailer

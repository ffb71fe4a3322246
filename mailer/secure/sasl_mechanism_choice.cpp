#include "mailer/secure/sasl_mechanism_choice.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace lmtpq::mailer {
namespace {

constexpr std::size_t kMaxWord = 20;  // RFC 4422 section 3.1
constexpr std::size_t kMaxWords = 64;
constexpr std::string_view kPlus = "-PLUS";

// Weak, or unexpected: GS2-IAKERB sends the password to a KDC.
constexpr std::string_view kNeverUnasked[] = {"ANONYMOUS", "GS2-IAKERB", "NTLM", "OTP"};

enum class Objection {
  kNotNamed,
  kOnlyWhenNamed,
  kUnknown,
  kNoBinding,
  kNoCertificate,
  kPlaintext,
  kBarred,
  kNoLogin,
};
constexpr const char* kObjectionWords[] = {
    "not in --auth-mechanisms",
    "used only if --auth-mechanisms names it",
    "no plugin installed",
    "no channel binding on this connection",
    "no client certificate was sent (--tls-cert)",
    "would send the password itself (--auth-plaintext)",
    "lacks a property that --auth-security requires",
    "no user and password (--auth-password-file)",
};

int discard_log(void*, int, const char*) { return SASL_OK; }

void* new_mutex() { return new std::mutex; }
int lock_mutex(void* mutex) {
  static_cast<std::mutex*>(mutex)->lock();
  return SASL_OK;
}
int unlock_mutex(void* mutex) {
  static_cast<std::mutex*>(mutex)->unlock();
  return SASL_OK;
}
void delete_mutex(void* mutex) { delete static_cast<std::mutex*>(mutex); }

bool asks_for_password(const unsigned long* prompts) {
  if (prompts == nullptr) {
    return true;  // the library's default: a name and a password
  }
  while (*prompts != SASL_CB_LIST_END && *prompts != SASL_CB_PASS) {
    ++prompts;
  }
  return *prompts == SASL_CB_PASS;
}

void take_plugin(client_sasl_mechanism_t* mechanism, sasl_info_callback_stage_t stage, void* list) {
  if (stage != SASL_INFO_LIST_MECH) {
    return;
  }
  const sasl_client_plug_t& plugin = *mechanism->plug;
  static_cast<std::vector<SaslPlugin>*>(list)->push_back(
      {plugin.mech_name, plugin.security_flags, (plugin.features & SASL_FEAT_CHANNEL_BINDING) != 0,
       (plugin.features & SASL_FEAT_SERVER_FIRST) != 0,
       asks_for_password(plugin.required_prompts)});
}

struct Loaded {
  std::vector<SaslPlugin> plugins;
  std::string failure;
};

Loaded load() {
  using Function = void (*)();
  static const sasl_callback_t callbacks[] = {
      {SASL_CB_LOG, reinterpret_cast<int (*)()>(reinterpret_cast<Function>(&discard_log)), nullptr},
      {SASL_CB_LIST_END, nullptr, nullptr}};
  sasl_set_mutex(&new_mutex, &lock_mutex, &unlock_mutex, &delete_mutex);
  Loaded loaded;
  const int result = sasl_client_init(callbacks);
  if (result != SASL_OK) {
    loaded.failure = std::string("libsasl2: ") + sasl_errstring(result, nullptr, nullptr);
    return loaded;
  }
  sasl_client_plugin_info(nullptr, &take_plugin, &loaded.plugins);
  if (loaded.plugins.empty()) {
    loaded.failure = "no plugins of libsasl2 are installed";
  }
  return loaded;
}

bool legal(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

std::vector<std::string> words_of(std::string_view offered) {
  std::vector<std::string> words;
  while (!offered.empty() && words.size() < kMaxWords) {
    const std::string word(offered.substr(0, offered.find(' ')));
    offered.remove_prefix(std::min(word.size() + 1, offered.size()));
    if (!word.empty() && word.size() <= kMaxWord && std::all_of(word.begin(), word.end(), legal) &&
        std::find(words.begin(), words.end(), word) == words.end()) {
      words.push_back(word);
    }
  }
  return words;
}

template <typename List>
bool among(const List& list, std::string_view word) {
  return std::find(std::begin(list), std::end(list), word) != std::end(list);
}

// nullptr: none is installed.
const SaslPlugin* plugin_of(const std::vector<SaslPlugin>& plugins, std::string_view word) {
  const bool plus = word.ends_with(kPlus);
  word.remove_suffix(plus ? kPlus.size() : 0);
  const auto found = std::find_if(plugins.begin(), plugins.end(),
                                  [&](const SaslPlugin& one) { return one.name == word; });
  return found == plugins.end() || (plus && !found->binds) ? nullptr : &*found;
}

// Whether a mechanism can be used.
struct Judge {
  const std::vector<SaslPlugin>& plugins;
  const AuthSettings& settings;
  const Login& login;
  const SaslSurroundings& surroundings;

  bool can_bind() const {
    return settings.channel_binding != "none" && !surroundings.binding_type.empty() &&
           !surroundings.binding.empty();
  }
  bool may_send_password() const {
    return settings.plaintext == AuthPlaintext::kAlways ||
           (settings.plaintext == AuthPlaintext::kTls && surroundings.confidential);
  }
  bool named(std::string_view word) const {
    return settings.mechanisms.empty() ? !among(kNeverUnasked, word)
                                       : among(settings.mechanisms, word);
  }
  std::optional<Objection> objection(std::string_view word) const;
};

std::optional<Objection> Judge::objection(std::string_view word) const {
  if (!named(word)) {
    return settings.mechanisms.empty() ? Objection::kOnlyWhenNamed : Objection::kNotNamed;
  }
  const SaslPlugin* const found = plugin_of(plugins, word);
  if (found == nullptr) {
    return Objection::kUnknown;
  }
  if (word.ends_with(kPlus) && !can_bind()) {
    return Objection::kNoBinding;
  }
  if (word == "EXTERNAL" && surroundings.external_identity.empty()) {
    return Objection::kNoCertificate;
  }
  // Checked here, because libsasl2 allows plain text within TLS whatever the configuration says.
  if ((found->security & SASL_SEC_NOPLAINTEXT) == 0 && !may_send_password()) {
    return Objection::kPlaintext;
  }
  if ((sasl_security_flags(settings.security) & ~found->security) != 0) {
    return Objection::kBarred;
  }
  if (found->needs_login && (login.user.empty() || login.password.empty())) {
    return Objection::kNoLogin;
  }
  return std::nullopt;
}

// Shortened for the log: a server may offer hundreds of words.
std::string joined(const std::vector<std::string>& words) {
  constexpr std::size_t kMost = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(words.size(), kMost); ++i) {
    text += (text.empty() ? "" : " ") + words[i];
  }
  return text + (words.size() > kMost ? " ..." : "");
}

}  // namespace

unsigned sasl_security_flags(unsigned security) {
  constexpr std::pair<AuthSecurity, unsigned> kFlags[] = {
      {kNoPlaintext, SASL_SEC_NOPLAINTEXT},   {kNoActive, SASL_SEC_NOACTIVE},
      {kNoDictionary, SASL_SEC_NODICTIONARY}, {kForwardSecrecy, SASL_SEC_FORWARD_SECRECY},
      {kNoAnonymous, SASL_SEC_NOANONYMOUS},   {kMutualAuth, SASL_SEC_MUTUAL_AUTH}};
  unsigned flags = 0;
  for (const auto& [property, flag] : kFlags) {
    flags |= (security & property) != 0 ? flag : 0;
  }
  return flags;
}

const std::vector<SaslPlugin>& sasl_plugins(std::string& failure) {
  static std::once_flag once;
  static Loaded loaded;
  std::call_once(once, [] { loaded = load(); });
  failure = loaded.failure;
  return loaded.plugins;
}

std::vector<std::string> unknown_mechanisms(const std::vector<SaslPlugin>& plugins,
                                            const std::vector<std::string>& names) {
  std::vector<std::string> made;
  std::copy_if(names.begin(), names.end(), std::back_inserter(made),
               [&](const std::string& name) { return plugin_of(plugins, name) == nullptr; });
  return made;
}

SaslChoices choose_mechanisms(const std::vector<SaslPlugin>& plugins, std::string_view offered,
                              const AuthSettings& settings, const Login& login,
                              const SaslSurroundings& surroundings) {
  const Judge judge{plugins, settings, login, surroundings};
  const std::vector<std::string> words = words_of(offered);
  std::map<Objection, std::vector<std::string>> objections;
  std::vector<std::string> fitting;
  for (const std::string& word : words) {
    if (const auto objection = judge.objection(word)) {
      objections[*objection].push_back(word);
    } else {
      fitting.push_back(word);
    }
  }
  const bool binding_offered = std::any_of(words.begin(), words.end(),
                                           [](const auto& word) { return word.ends_with(kPlus); });
  SaslChoices choices;
  for (const SaslPlugin& plugin : plugins) {
    const std::string plus = plugin.name + std::string(kPlus);
    if (among(fitting, plus)) {
      choices.fitting.push_back({plugin, SaslChoice::Binding::kUsed});
    } else if (among(fitting, plugin.name)) {
      // A server ends the exchange if we say that it offers no channel binding although it does.
      const bool missed = plugin.binds && judge.can_bind() && judge.named(plus) && !binding_offered;
      choices.fitting.push_back(
          {plugin, missed ? SaslChoice::Binding::kMissed : SaslChoice::Binding::kNone});
    }
  }
  choices.offered = joined(words);
  for (const auto& [objection, about] : objections) {
    choices.objections += (choices.objections.empty() ? "" : "; ") + joined(about) + ": " +
                          kObjectionWords[static_cast<std::size_t>(objection)];
  }
  return choices;
}

}  // namespace lmtpq::mailer

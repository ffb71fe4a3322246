#include "mailer/secure/sasl_client.h"

#include <netinet/in.h>
#include <resolv.h>
#include <sasl/sasl.h>
#include <string.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "common/ascii.h"
#include "common/config_error.h"
#include "common/escape.h"
#include "mailer/secure/sasl_layer.h"

namespace lmtpq::mailer {
namespace {

constexpr sasl_ssf_t kMaxLayerBits = 256;
constexpr std::size_t kMaxChallenge = 64 * 1024;  // GSSAPI's are the longest, several KiB
constexpr int kMaxSteps = 20;
constexpr std::size_t kMaxWords = 300;
constexpr std::uint64_t kMinIterations = 4096;  // RFC 7677 section 4
constexpr const char* kDigest = "DIGEST-MD5";

template <typename Function>
sasl_callback_t callback(unsigned long id, Function function, void* context) {
  return {id, reinterpret_cast<int (*)()>(reinterpret_cast<void (*)()>(function)), context};
}

// The name with which we log in. The authorization identity is empty: the server derives it from
// the name (RFC 4422 section 3.4.1).
int give_name(void* login, int id, const char** result, unsigned* length) {
  const std::string& user = static_cast<const Login*>(login)->user;
  *result = id == SASL_CB_AUTHNAME ? user.c_str() : "";
  if (length != nullptr) {
    *length = static_cast<unsigned>(strlen(*result));
  }
  return SASL_OK;
}

// Called only if the server has several realms: the one after the @ of our name, or the first.
int choose_realm(void* login, int, const char** offered, const char** result) {
  if (offered == nullptr || offered[0] == nullptr) {
    return SASL_FAIL;
  }
  const std::string_view user = static_cast<const Login*>(login)->user;
  const std::string_view own = user.substr(std::min(user.rfind('@') + 1, user.size()));
  *result = offered[0];
  for (; *offered != nullptr; ++offered) {
    if (same_word(*offered, own)) {
      *result = *offered;
      break;
    }
  }
  return SASL_OK;
}

// If gethostname(2) gives no domain, sasl_client_new() asks /etc/hosts and then the DNS for it. A
// client does not need it. If no name server answers, this shortens the wait from the resolver's
// half a minute to a second per server.
class ShortLookups {
 public:
  ShortLookups() {
    if (res_init() == 0) {
      _res.retrans = 1;  // seconds; `_res` is thread-local
      _res.retry = 1;
    }
  }
  ~ShortLookups() { res_init(); }
  ShortLookups(const ShortLookups&) = delete;
  ShortLookups& operator=(const ShortLookups&) = delete;
};

// libsasl2's form of a password.
class Password {
 public:
  explicit Password(std::string_view text)
      : memory_(offsetof(sasl_secret_t, data) + text.size() + 1, '\0') {
    get()->len = text.size();
    std::memcpy(memory_.data() + offsetof(sasl_secret_t, data), text.data(), text.size());
  }
  Password(const Password&) = delete;
  Password& operator=(const Password&) = delete;
  ~Password() { forget(); }

  void forget() { explicit_bzero(memory_.data(), memory_.size()); }
  sasl_secret_t* get() { return reinterpret_cast<sasl_secret_t*>(memory_.data()); }

 private:
  std::vector<char> memory_;
};

int give_password(sasl_conn_t*, void* password, int, sasl_secret_t** result) {
  *result = static_cast<Password*>(password)->get();
  return SASL_OK;
}

// DIGEST-MD5 of libsasl2 2.1.28 never frees OpenSSL's RC4 context, 6 KiB for each layer. The leak
// sanitizer is to report our leaks, not this one.
struct IgnoreLeaks {
#if defined(__SANITIZE_ADDRESS__)
  IgnoreLeaks() { __lsan_disable(); }
  ~IgnoreLeaks() { __lsan_enable(); }
#endif
};

// server-first-message = nonce "," salt "," iteration-count (RFC 5802 section 7). With few
// iterations, our proof would let a false store guess the password offline.
bool cheap_to_guess(std::string_view challenge) {
  const std::size_t at = challenge.starts_with("r=") ? challenge.find(",i=") : challenge.npos;
  if (at == challenge.npos) {
    return false;
  }
  const std::string_view digits = challenge.substr(at + 3, challenge.find(',', at + 3) - (at + 3));
  std::uint64_t count = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  return error != std::errc() || end != digits.data() + digits.size() || count < kMinIterations;
}

// libsasl2 tells the server about channel binding only if it chose the mechanism itself, among
// several. An unknown word makes several of one.
std::string list_for(const SaslChoice& choice) {
  return choice.name() + (choice.binding == SaslChoice::Binding::kMissed ? " 0" : "");
}

}  // namespace

struct SaslClient::Library {
  explicit Library(const Login& login) : password(login.password.text()) {
    void* const context = const_cast<Login*>(&login);
    callbacks = {callback(SASL_CB_USER, &give_name, context),
                 callback(SASL_CB_AUTHNAME, &give_name, context),
                 callback(SASL_CB_GETREALM, &choose_realm, context)};
    if (!login.password.empty()) {
      callbacks.push_back(callback(SASL_CB_PASS, &give_password, &password));
    }
    callbacks.push_back({SASL_CB_LIST_END, nullptr, nullptr});
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;
  ~Library() { sasl_dispose(&connection); }

  int open(const AuthSettings& settings, const SaslSurroundings& surroundings, bool bind);
  // One step; on SASL_OK and SASL_CONTINUE `out` is what to send, if anything is.
  int step(const char* challenge, std::size_t size, std::optional<std::string>& out);
  unsigned layer_bits() const;

  Password password;
  std::vector<sasl_callback_t> callbacks;
  sasl_channel_binding_t binding{};
  sasl_conn_t* connection = nullptr;
};

int SaslClient::Library::open(const AuthSettings& settings, const SaslSurroundings& surroundings,
                              bool bind) {
  const char* const server = surroundings.server.empty() ? nullptr : surroundings.server.c_str();
  [[maybe_unused]] const ShortLookups bounded;
  int result = sasl_client_new(surroundings.service.c_str(), server, nullptr, nullptr,
                               callbacks.data(), 0, &connection);
  sasl_security_properties_t properties{};
  properties.max_ssf = surroundings.external_bits > 0 ? 0 : kMaxLayerBits;
  properties.maxbufsize = SaslLayer::kMaxRecord;
  properties.security_flags = sasl_security_flags(settings.security);
  const auto set = [&](int what, const void* value) {
    result = result == SASL_OK ? sasl_setprop(connection, what, value) : result;
  };
  set(SASL_SEC_PROPS, &properties);
  const sasl_ssf_t external_bits = surroundings.external_bits;
  set(SASL_SSF_EXTERNAL, &external_bits);
  if (!surroundings.external_identity.empty()) {
    set(SASL_AUTH_EXTERNAL, surroundings.external_identity.c_str());
  }
  if (bind) {
    binding.name = surroundings.binding_type.c_str();
    binding.len = surroundings.binding.size();
    binding.data = reinterpret_cast<const unsigned char*>(surroundings.binding.data());
    set(SASL_CHANNEL_BINDING, &binding);
  }
  return result;
}

int SaslClient::Library::step(const char* challenge, std::size_t size,
                              std::optional<std::string>& out) {
  sasl_interact_t* prompts = nullptr;
  const char* data = nullptr;
  unsigned length = 0;
  [[maybe_unused]] const IgnoreLeaks ignored;
  const int result = sasl_client_step(connection, challenge, static_cast<unsigned>(size), &prompts,
                                      &data, &length);
  free(prompts);
  // A plugin that fails may leave a pointer to what it has freed.
  if (data != nullptr && (result == SASL_OK || result == SASL_CONTINUE)) {
    out.emplace(data, length);
  }
  return result;
}

unsigned SaslClient::Library::layer_bits() const {
  const void* bits = nullptr;
  return sasl_getprop(connection, SASL_SSF, &bits) == SASL_OK && bits != nullptr
             ? *static_cast<const sasl_ssf_t*>(bits)
             : 0;
}

SaslClient::SaslClient(const AuthSettings& settings, const Login& login,
                       const SaslSurroundings& surroundings)
    : settings_(settings), login_(login), surroundings_(surroundings) {}

SaslClient::~SaslClient() {
  if (initial_) {
    wipe(*initial_);
  }
}

bool SaslClient::start(std::string_view offered) {
  std::string failure;
  const auto& plugins = sasl_plugins(failure);
  if (!failure.empty()) {
    return fail(failure);
  }
  const SaslChoices choices = choose_mechanisms(plugins, offered, settings_, login_, surroundings_);
  std::string objections = choices.objections;
  for (const SaslChoice& choice : choices.fitting) {
    if (begin(choice)) {
      failure_.clear();
      return true;
    }
    objections += (objections.empty() ? "" : "; ") + failure_;
  }
  mechanism_.clear();
  if (choices.offered.empty()) {
    return fail("the store offers no mechanism");
  }
  return fail("the store offers " + choices.offered + "; none can be used: " + objections);
}

bool SaslClient::begin(const SaslChoice& choice) {
  mechanism_ = choice.name();
  complete_ = false;
  initial_.reset();
  library_ = std::make_unique<Library>(login_);
  int result =
      library_->open(settings_, surroundings_, choice.binding != SaslChoice::Binding::kNone);
  if (result == SASL_OK) {
    result = sasl_client_start(library_->connection, list_for(choice).c_str(), nullptr, nullptr,
                               nullptr, nullptr);
  }
  // With an initial step, DIGEST-MD5 would resume the last exchange with a server of that name,
  // including its security layer, which belongs to another connection. Without it the server
  // begins.
  if (result == SASL_CONTINUE && !choice.plugin.server_first && mechanism_ != kDigest) {
    result = library_->step(nullptr, 0, initial_);
  }
  if (result != SASL_OK && result != SASL_CONTINUE) {
    return fail_by_library(result);
  }
  complete_ = result == SASL_OK;
  return true;
}

std::optional<std::string> SaslClient::answer(std::string_view challenge) {
  if (!failure_.empty() || mechanism_.empty()) {
    return std::nullopt;
  }
  if (complete_) {
    fail("the store asks for more after the last step of " + mechanism_);
    return std::nullopt;
  }
  if (challenge.size() > kMaxChallenge || ++steps_ > kMaxSteps) {
    fail(steps_ > kMaxSteps ? "too many challenges in " + mechanism_
                            : "challenge too long: " + std::to_string(challenge.size()) + " bytes");
    return std::nullopt;
  }
  // The plugin would take it for the end of a resumed exchange.
  if (mechanism_ == kDigest && steps_ == 1 && same_word(challenge.substr(0, 8), "rspauth=")) {
    fail("the store's first challenge in " + mechanism_ + " is an answer");
    return std::nullopt;
  }
  if (mechanism_.starts_with("SCRAM-") && cheap_to_guess(challenge)) {
    fail("the store asks for fewer than " + std::to_string(kMinIterations) + " iterations in " +
         mechanism_);
    return std::nullopt;
  }
  std::optional<std::string> answer;
  const std::string terminated(challenge);
  const int result = library_->step(terminated.c_str(), terminated.size(), answer);
  if (result != SASL_OK && result != SASL_CONTINUE) {
    fail_by_library(result);
    return std::nullopt;
  }
  complete_ = result == SASL_OK;
  return answer ? answer : std::string();
}

bool SaslClient::succeed() {
  if (!failure_.empty() || mechanism_.empty()) {
    return false;
  }
  if (!complete_) {
    return fail("the store reports success before the end of " + mechanism_ +
                ", without proving its identity");
  }
  library_->password.forget();
  return true;
}

unsigned SaslClient::layer_bits() const {
  return complete_ && failure_.empty() ? library_->layer_bits() : 0;
}

std::unique_ptr<Layer> SaslClient::into_layer(std::unique_ptr<SaslExchange> self) {
  if (layer_bits() == 0) {
    return nullptr;
  }
  return std::make_unique<SaslLayer>(std::move(self), library_->connection);
}

bool SaslClient::fail_by_library(int result) {
  std::string words = sasl_errdetail(library_->connection);
  const std::string_view password = login_.password.text();
  // A plugin's message may contain what it was given.
  if (!password.empty() && words.find(password) != std::string::npos) {
    words = sasl_errstring(result, nullptr, nullptr);
  }
  words.resize(std::min(words.size(), kMaxWords));
  return fail(mechanism_ + ": " + escaped(words));
}

bool SaslClient::fail(std::string words) {
  failure_ = std::move(words);
  return false;
}

std::unique_ptr<SaslExchange> sasl_client(const AuthSettings& settings, const Login& login,
                                          const SaslSurroundings& surroundings) {
  return std::make_unique<SaslClient>(settings, login, surroundings);
}

void require_mechanisms(const std::vector<std::string>& names) {
  std::string failure;
  const std::vector<SaslPlugin>& plugins = sasl_plugins(failure);
  if (!failure.empty()) {
    throw ConfigError(failure + "; install the modules of Cyrus SASL");
  }
  const std::vector<std::string> unknown = unknown_mechanisms(plugins, names);
  if (unknown.empty()) {
    return;
  }
  std::string text;
  for (const std::string& name : unknown) {
    text += (text.empty() ? "" : ", ") + name;
  }
  throw ConfigError(
      '"' + text + "\": no plugin installed; install the module of Cyrus SASL, or remove the name");
}

}  // namespace lmtpq::mailer

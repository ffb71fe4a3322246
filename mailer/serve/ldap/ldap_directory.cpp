#include "mailer/serve/ldap/ldap_directory.h"

#include <ldap.h>

#include <map>
#include <utility>

#include "common/escape.h"
#include "common/open_file.h"
#include "mailer/io/waiting.h"
#include "mailer/routes/directory_routes.h"
#include "mailer/serve/ldap/ldap_limits.h"

namespace lmtpq::mailer {
namespace {

// A directory queues what it does not answer at once, and closes a connection that asks too much:
// OpenLDAP at 100 (conn_max_pending).
constexpr std::size_t kMaxAtOnce = 16;
constexpr std::size_t kMaxEntries = 8;  // more than one is already an error of the directory
constexpr std::size_t kMaxValues = 17;  // one more than a route may have

// What a directory may send: before the first search, where TLS sends certificates; and then for a
// look-up, which needs 16 KiB for the longest answer that is a route, and 300 bytes for most.
constexpr std::size_t kOpening = 256 * 1024;
constexpr std::size_t kLookUp = 64 * 1024;
constexpr std::size_t kSearch = 8 * 1024;

struct FreeMessage {
  void operator()(LDAPMessage* message) const { ldap_msgfree(message); }
};
using Message = std::unique_ptr<LDAPMessage, FreeMessage>;

timeval time_of(std::chrono::milliseconds span) {
  return {static_cast<time_t>(span.count() / 1000),
          static_cast<suseconds_t>(span.count() % 1000 * 1000)};
}

// The code's text, and that of the directory or the TLS library, which says more.
std::string words_of(LDAP* handle, int code) {
  std::string words = ldap_err2string(code);
  char* more = nullptr;
  ldap_get_option(handle, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
  if (more != nullptr) {
    words += *more != '\0' ? " (" + escaped(std::string_view(more).substr(0, 200)) + ")" : "";
    ldap_memfree(more);
  }
  return words;
}

class LdapDirectory : public Directory {
 public:
  LdapDirectory(const DirectorySettings& settings, const std::string& uri)
      : settings_(settings),
        has_tls_(settings.tls == DirectoryTls::kStartTls || uri.starts_with("ldaps:")) {
    const int code = ldap_initialize(&handle_, uri.c_str());
    if (code != LDAP_SUCCESS) {
      throw ConfigError("--route-ldap: " + uri + ": " + ldap_err2string(code));
    }
  }
  ~LdapDirectory() override { ldap_unbind_ext(handle_, nullptr, nullptr); }
  LdapDirectory(const LdapDirectory&) = delete;
  LdapDirectory& operator=(const LdapDirectory&) = delete;

  // Empty: it is ready. Otherwise why not.
  std::string open(const Secret& password) {
    limits_.set(Clock::now() + settings_.timeout, kOpening);
    const std::string failure = begin(password);
    return limits_.is_passed() ? "it sends more than 256 KiB before the first search" : failure;
  }

  std::vector<Result> search(const Filters& filters, Deadline latest) override {
    limits_.set(latest, kLookUp);
    std::vector<Result> results(filters.size(), lost(LDAP_TIMEOUT));
    Asked asked;
    std::size_t next = 0;
    while (next < filters.size() || !asked.empty()) {
      int failure = LDAP_SUCCESS;
      while (next < filters.size() && asked.size() < kMaxAtOnce && failure == LDAP_SUCCESS) {
        limits_.allow(kSearch, kLookUp + kMaxAtOnce * kSearch);
        failure = ask(filters[next], next, asked, results);
        ++next;
      }
      if (failure == LDAP_SUCCESS) {
        failure = take_message(latest, asked, results);
      }
      if (failure != LDAP_SUCCESS) {
        lose(failure, next, asked, results);
        break;
      }
    }
    return results;
  }

 private:
  // A search without its result.
  struct Search {
    std::size_t place;
    std::vector<std::vector<std::string>> entries;  // one more than kMaxEntries: too many
    bool has_referral = false;
  };
  using Asked = std::map<int, Search>;  // by message id

  std::string begin(const Secret& password) {
    if (!set_options()) {
      return "libldap rejects the settings";
    }
    if (has_tls_ && is_other_than_file(settings_.ca_file)) {
      return settings_.ca_file + ": not a regular file (--route-ldap-ca-file)";
    }
    if (has_tls_ && !set_tls_options()) {
      return "cannot read the CA certificates (--route-ldap-ca-file)";
    }
    if (settings_.tls == DirectoryTls::kStartTls) {
      const int code = ldap_start_tls_s(handle_, nullptr, nullptr);
      if (code != LDAP_SUCCESS) {
        return "STARTTLS: " + words_of(handle_, code);
      }
    }
    return bind(password);
  }

  Result lost(int code) const {
    if (limits_.is_passed()) {
      return {Result::Kind::kTooLong, {}, "the directory sends more than a look-up may need"};
    }
    return {kind_of(code), {}, words_of(handle_, code)};
  }

  // LDAP_SUCCESS: it is asked, or its result says why not. Otherwise the connection is lost.
  int ask(const std::string& filter, std::size_t place, Asked& asked,
          std::vector<Result>& results) {
    timeval patience = time_of(settings_.timeout);
    char* attributes[] = {const_cast<char*>(settings_.attribute.c_str()), nullptr};
    int id = 0;
    const int code = ldap_search_ext(handle_, settings_.base.c_str(), LDAP_SCOPE_SUBTREE,
                                     filter.c_str(), attributes, 0, nullptr, nullptr, &patience,
                                     static_cast<int>(kMaxEntries), &id);
    if (code == LDAP_SUCCESS) {
      asked[id] = {place, {}};
      return LDAP_SUCCESS;
    }
    results[place] = lost(code);
    return results[place].kind == Result::Kind::kRefused ? LDAP_SUCCESS : code;
  }

  // Waits for one message, so that libldap never has more than one. LDAP_SUCCESS: it is taken.
  // Otherwise the connection is lost.
  int take_message(Deadline latest, Asked& asked, std::vector<Result>& results) {
    if (asked.empty()) {
      return LDAP_SUCCESS;  // none was asked
    }
    timeval left = time_of(std::chrono::milliseconds(milliseconds_until(latest)));
    LDAPMessage* found = nullptr;
    const int kind = ldap_result(handle_, LDAP_RES_ANY, LDAP_MSG_ONE, &left, &found);
    const Message owned(found);
    int code = LDAP_TIMEOUT;
    if (kind < 0) {
      ldap_get_option(handle_, LDAP_OPT_RESULT_CODE, &code);
      return code == LDAP_SUCCESS ? LDAP_SERVER_DOWN : code;
    }
    if (kind == 0) {
      return code;
    }
    const auto search = asked.find(ldap_msgid(found));
    if (search == asked.end()) {
      return LDAP_SUCCESS;  // a notice that nobody asked for
    }
    Search& one = search->second;
    if (kind == LDAP_RES_SEARCH_ENTRY) {
      if (one.entries.size() <= kMaxEntries) {
        one.entries.push_back(values_of(found));
      }
    } else if (kind == LDAP_RES_SEARCH_REFERENCE) {
      one.has_referral = true;
    } else if (kind != LDAP_RES_INTERMEDIATE) {
      results[one.place] = result_of(found, one);
      asked.erase(search);
    }
    return LDAP_SUCCESS;
  }

  Result result_of(LDAPMessage* last, Search& search) {
    int code = LDAP_SUCCESS;
    const int parsed =
        ldap_parse_result(handle_, last, &code, nullptr, nullptr, nullptr, nullptr, 0);
    if (parsed != LDAP_SUCCESS || code != LDAP_SUCCESS) {
      return lost(parsed != LDAP_SUCCESS ? parsed : code);
    }
    if (search.entries.size() > kMaxEntries) {  // of a directory that knows no limit
      return {Result::Kind::kRefused, {}, ldap_err2string(LDAP_SIZELIMIT_EXCEEDED)};
    }
    if (search.has_referral && search.entries.empty()) {
      return {Result::Kind::kRefused, {}, "the directory answered with a referral to another one"};
    }
    return {Result::Kind::kFound, std::move(search.entries), {}};
  }

  // Those without an answer.
  void lose(int code, std::size_t next, const Asked& asked, std::vector<Result>& results) {
    for (const auto& [id, search] : asked) {
      results[search.place] = lost(code);
    }
    for (; next < results.size(); ++next) {
      results[next] = lost(code);
    }
  }

  bool set(int option, const void* value) {
    return ldap_set_option(handle_, option, value) == LDAP_OPT_SUCCESS;
  }

  bool set_options() {
    const int version = LDAP_VERSION3;
    const int keepalive = 60;
    const timeval patience = time_of(settings_.timeout);
    return set(LDAP_OPT_PROTOCOL_VERSION, &version) && set(LDAP_OPT_REFERRALS, LDAP_OPT_OFF) &&
           set(LDAP_OPT_NETWORK_TIMEOUT, &patience) && set(LDAP_OPT_TIMEOUT, &patience) &&
           set(LDAP_OPT_X_KEEPALIVE_IDLE, &keepalive) && limits_.attach(handle_);
  }

  // Only with TLS, since reading the CA certificates takes longer than a search.
  bool set_tls_options() {
    const int check = LDAP_OPT_X_TLS_HARD;
    const int names =
        LDAP_OPT_X_TLS_TRY;  // the subject's name only where there is no alternative name
    const int client = 0;
    return (settings_.ca_file.empty() ||
            set(LDAP_OPT_X_TLS_CACERTFILE, settings_.ca_file.c_str())) &&
           set(LDAP_OPT_X_TLS_REQUIRE_CERT, &check) && set(LDAP_OPT_X_TLS_REQUIRE_SAN, &names) &&
           set(LDAP_OPT_X_TLS_NEWCTX, &client);
  }

  std::string bind(const Secret& password) {
    berval secret{password.text().size(), const_cast<char*>(password.text().data())};
    const int code = ldap_sasl_bind_s(handle_, settings_.bind_dn.c_str(), LDAP_SASL_SIMPLE, &secret,
                                      nullptr, nullptr, nullptr);
    return code == LDAP_SUCCESS ? "" : words_of(handle_, code);
  }

  static Result::Kind kind_of(int code) {
    switch (code) {
      case LDAP_SERVER_DOWN:
      case LDAP_UNAVAILABLE:
        return Result::Kind::kClosed;
      case LDAP_BUSY:
        return Result::Kind::kLost;
      default:
        // Codes below zero come from libldap: the connection can be in any state.
        return code < 0 && code != LDAP_FILTER_ERROR ? Result::Kind::kLost : Result::Kind::kRefused;
    }
  }

  std::vector<std::string> values_of(LDAPMessage* entry) {
    std::vector<std::string> values;
    berval** const all = ldap_get_values_len(handle_, entry, settings_.attribute.c_str());
    for (int i = 0; i < ldap_count_values_len(all) && values.size() < kMaxValues; ++i) {
      values.emplace_back(all[i]->bv_val, all[i]->bv_len);
    }
    ldap_value_free_len(all);
    return values;
  }

  const DirectorySettings& settings_;
  const bool has_tls_;
  LdapLimits limits_;  // outlives the handle
  LDAP* handle_ = nullptr;
};

// Connects to the first directory that answers.
class LdapOpener {
 public:
  LdapOpener(const DirectorySettings& settings, Secret password)
      : settings_(settings), password_(std::move(password)) {
    for (const std::string& uri : settings_.uris) {
      LdapDirectory(settings_, uri);
    }
  }

  std::unique_ptr<Directory> open(std::string& why) const {
    for (const std::string& uri : settings_.uris) {
      auto made = std::make_unique<LdapDirectory>(settings_, uri);
      const std::string words = made->open(password_);
      if (words.empty()) {
        return made;
      }
      why.append(why.empty() ? "" : "; ").append(uri).append(": ").append(words);
    }
    return nullptr;
  }

 private:
  const DirectorySettings settings_;
  const Secret password_;
};

}  // namespace

void prepare_ldap() {
  int version = 0;
  ldap_get_option(nullptr, LDAP_OPT_PROTOCOL_VERSION, &version);
}

std::unique_ptr<Routes> ldap_routes(const DirectorySettings& settings, Secret password,
                                    const Log& log, CuttableWork& look_ups) {
  // Connections refer to the opener's settings; the pool that keeps them holds the function.
  const auto opener = std::make_shared<const LdapOpener>(settings, std::move(password));
  DirectoryPool::Limits limits;
  limits.wait = settings.timeout;
  return std::make_unique<DirectoryRoutes>(
      settings, [opener](std::string& why) { return opener->open(why); }, log, look_ups, limits);
}

}  // namespace lmtpq::mailer
